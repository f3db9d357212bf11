//! The one TLS provider of a process: ring. Must not choose roots or protocols;
//! each client does that for itself.

/// Installs ring as the process-wide provider. The first line of every `main`;
/// calling it again changes nothing.
pub fn install() {
    // An error only says that a provider is installed already.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    #[test]
    fn installing_twice_leaves_a_provider() {
        super::install();
        super::install();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
