//! The zone that a Gateway's names are in: the market's, or the provider's own with the token of his Secret.

use crds::{Gateway, gateway::Cloudflare};
use dc_cloudflare::Name;
use gateway_core::reason::Reason;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::failure::{NoZone, refused};
use crate::{
    access::api,
    ctx::Ctx,
    error::{Error, Step, at},
    zones::Zone,
};

type Found = Result<Zone, NoZone>;

fn told(reason: Reason, text: String) -> Found {
    Err(NoZone::Told(reason, text))
}

/// The zone, if the Gateway's name is in it.
pub async fn of(ctx: &Ctx, gateway: &Gateway) -> Result<Found, Error> {
    let zone = match open(ctx, gateway).await? {
        Ok(zone) => zone,
        Err(why) => return Ok(Err(why)),
    };
    let fqdn = gateway.spec.fqdn();
    let within = |top: &Name| fqdn.parse::<Name>().is_ok_and(|name| name.within(top));
    Ok(match &zone.name {
        Some(top) if !within(top) => told(
            Reason::ZoneMismatch,
            format!("{fqdn} is not in the zone {top} that spec.dns.cloudflare.zoneId names."),
        ),
        _ => Ok(zone),
    })
}

/// The zone, whether the Gateway's present name is in it or not.
pub async fn open(ctx: &Ctx, gateway: &Gateway) -> Result<Found, Error> {
    match &gateway.spec.dns {
        Some(own) => self::own(ctx, gateway, &own.cloudflare).await,
        None => Ok(market(ctx, gateway)),
    }
}

fn market(ctx: &Ctx, gateway: &Gateway) -> Found {
    let fqdn = gateway.spec.fqdn();
    let Ok(name) = fqdn.parse::<Name>() else {
        return told(Reason::ZoneMismatch, format!("{fqdn} is not a name."));
    };
    if let Some(zone) = ctx.zones.market(&name) {
        return Ok(zone);
    }
    let Some(around) = ctx.zones.around(&name) else {
        let text = format!(
            "The market has no zone that {fqdn} is in. Choose a domain of the market's, or name your own zone in \
             spec.dns.cloudflare."
        );
        return told(Reason::ZoneMissing, text);
    };
    let sites: Vec<String> = around.sites.iter().map(|name| format!("DCID.{name}")).collect();
    let text = format!(
        "{fqdn} cannot be a site's name in the market's zone, where sites are named {}: change spec.prefix and \
         spec.domain.",
        sites.join(" or ")
    );
    told(Reason::ZoneMismatch, text)
}

async fn own(ctx: &Ctx, gateway: &Gateway, own: &Cloudflare) -> Result<Found, Error> {
    let (id, secret) = (own.zone_id.as_str(), own.token_secret_ref.name.as_str());
    let found = ctx
        .writer
        .get(&api::<Secret>(ctx, gateway), secret)
        .await
        .map_err(at(Step::Token))?;
    let data = found.and_then(|found| found.data);
    let token = data.and_then(|mut data| data.remove("token"));
    let Some(token) = token.and_then(|bytes| String::from_utf8(bytes.0).ok()) else {
        let text = format!(
            "Secret {secret} has no key `token`: kubectl create secret generic {secret} -n {} --from-file=token=FILE",
            gateway.namespace().unwrap_or_default()
        );
        return Ok(told(Reason::TokenMissing, text));
    };
    let mut zone = match ctx.zones.own(id, &token) {
        Ok(zone) => zone,
        Err(error) => return Ok(told(error.reason(), format!("{}.", kit::chain(&error)))),
    };
    if zone.name.is_none() {
        let there = match zone.cf.zone(&zone.id).await {
            Ok(there) => there,
            Err(error) => return Ok(Err(refused(&zone.cf, error).await)),
        };
        ctx.zones.named((id, &token), &there.name);
        zone.name = Some(there.name);
    }
    Ok(Ok(zone))
}
