//! The closed list of reasons that a Gateway's conditions carry, and who can act on each.

crds::reasons! {
    Ready, Nobody, "The site serves.";
    NameTaken, Provider, "Another Gateway has the same name.";
    Invalid, Provider, "The Gateway's network or ports cannot be used.";
    ZoneMissing, Market, "No zone is configured for the domain, or the zone that is named is not there.";
    ZoneMismatch, Provider, "The zone has no such names for sites, or the domain is not in it.";
    TokenRejected, Provider, "Cloudflare does not take the zone's token.";
    TokenMissing, Provider, "The Secret with the zone's token cannot be read.";
    DnsDenied, Provider, "The zone's token may not change records.";
    ForeignRecord, Provider, "A record that is not ours has our name.";
    ZoneFull, Provider, "The zone holds as many records as it may.";
    RateLimited, Nobody, "Cloudflare takes no more calls for a while.";
    CloudflareUnreachable, Nobody, "Cloudflare does not answer.";
    CloudflareError, Market, "Cloudflare refused with an error of its own.";
    Publishing, Nobody, "The records are written; not all servers of the zone answer with them yet.";
    Published, Nobody, "All servers of the zone answer with the records.";
    NotEnrolled, Provider, "No host serves the Gateway.";
    AgentSilent, Provider, "The agent has stopped renewing its Lease.";
    ClockOff, Provider, "The clocks of the agent's host and of the hub differ too much to tell whether it lives.";
    AgentTroubled, Provider, "The agent's doctor found something that keeps it from serving.";
    Connected, Nobody, "The agent lives.";
    NoAuthority, Provider, "spec.tls names no authority, so there is no certificate.";
    Issuing, Nobody, "The agent obtains the certificate.";
    IssuingFails, Provider, "The authority issues no certificate.";
    CertificateExpired, Provider, "The certificate has expired.";
    Issued, Nobody, "The certificate is valid.";
    InUse, Provider, "Slots exist; deletion waits.";
    Terminating, Nobody, "Being deleted.";
}
