//! Field managers: who writes what. One constant per process, also its user
//! agent. Must not grow a manager per controller: each object and subresource
//! has exactly one applying controller per manager.

use kube::api::{PatchParams, PostParams};

/// The operator: market and provider controllers.
pub const OPERATOR: &str = "decent-operator";

/// The gateway controller.
pub const GATEWAY: &str = "decent-gateway";
/// The agent on a gateway host.
pub const AGENT: &str = "decent-agent";

/// Server-side apply with force: only for objects (or status) we own.
#[must_use]
pub fn apply_params(manager: &str) -> PatchParams {
    PatchParams::apply(manager).force()
}

/// For JSON patches: names the writer, forces nothing.
#[must_use]
pub fn patch_params(manager: &str) -> PatchParams {
    PatchParams::apply(manager)
}

/// For create and replace.
#[must_use]
pub fn post_params(manager: &str) -> PostParams {
    PostParams {
        dry_run: false,
        field_manager: Some(manager.to_owned()),
    }
}
