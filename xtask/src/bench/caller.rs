//! The simulated Proxmox as a client sees it: one call, its `data` or an error. Knows no call by name.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Certificate, Client, Method};
use serde_json::Value;

use super::sim::Facts;

/// Proxmox closes idle connections after 5 s.
const IDLE: Duration = Duration::from_secs(4);

/// A client with the service token, and connections of its own.
pub struct Caller {
    http: Client,
    url: String,
    token: String,
}

impl Caller {
    /// A client of this simulator.
    ///
    /// # Errors
    /// When its certificate cannot be used.
    pub fn new(facts: &Facts) -> Result<Self> {
        let ca = Certificate::from_pem(facts.ca_pem.as_bytes())
            .context("failed to read the authority's certificate")?;
        let http = Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .pool_idle_timeout(IDLE)
            .build();
        Ok(Self {
            http: http.context("failed to build a client")?,
            url: facts.url.clone(),
            token: facts.token.clone(),
        })
    }

    /// One call: its `data`. GET takes no parameters.
    ///
    /// # Errors
    /// When it is not answered, or refused.
    pub async fn call(&self, method: Method, path: &str, params: &[(&str, &str)]) -> Result<Value> {
        let act = format!("{method} {path}");
        let is_read = method == Method::GET;
        let request = self.http.request(method, format!("{}/api2/json{path}", self.url));
        let request = request.header("authorization", format!("PVEAPIToken={}", self.token));
        let request = if is_read { request } else { request.form(params) };
        let answer = request.send().await.with_context(|| act.clone())?;
        let status = answer.status();
        let text = answer.text().await.with_context(|| act.clone())?;
        ensure!(status.is_success(), "{act}: {status} {text}");
        let mut body: BTreeMap<String, Value> = serde_json::from_str(&text).with_context(|| act.clone())?;
        Ok(body.remove("data").unwrap_or_default())
    }
}
