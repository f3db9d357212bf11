//! What a client needs to know about a Proxmox cluster, checked once.
//!
//! Owns the syntax of endpoints, tokens and fingerprints; the token is never printed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;

/// The port of Proxmox's API.
const PORT: u16 = 8006;

/// Why a configuration is refused. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not an address of a Proxmox API.
    #[error("endpoint {given} is not of the form https://host[:port]")]
    Endpoint {
        /// What was given.
        given: String,
    },
    /// No endpoint at all.
    #[error("no endpoint is given")]
    NoEndpoint,
    /// Not an API token.
    #[error("the token is not of the form USER@REALM!ID=SECRET")]
    Token,
    /// Not a fingerprint.
    #[error("the fingerprint is not 32 bytes of hex")]
    Fingerprint,
    /// The CA bundle holds no usable certificate.
    #[error("the CA bundle holds no usable certificate")]
    Ca {
        /// What the parser says, if it got that far.
        #[source]
        source: Option<rustls::Error>,
    },
    /// The CA bundle is no PEM.
    #[error("failed to read the CA bundle as PEM")]
    Pem {
        /// What the parser says.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The verifier could not be built from the CA bundle.
    #[error("failed to build the certificate verifier")]
    Verifier {
        /// What the TLS library says.
        #[source]
        source: rustls::server::VerifierBuilderError,
    },
    /// The TLS library refuses its own defaults.
    #[error("failed to set up TLS")]
    Tls {
        /// What the TLS library says.
        #[source]
        source: rustls::Error,
    },
    /// The HTTP client could not be built.
    #[error("failed to set up the HTTP client")]
    Http {
        /// What the HTTP library says.
        #[source]
        source: reqwest::Error,
    },
}

/// The address of one API daemon: https only, no path, port 8006 unless given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Url);

impl Endpoint {
    /// The host without brackets, as TLS names it.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    pub(crate) fn base(&self) -> &Url {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refused = || ConfigError::Endpoint {
            given: text.to_owned(),
        };
        let mut url = Url::parse(text).map_err(|_| refused())?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let anonymous = url.username().is_empty() && url.password().is_none();
        if url.scheme() != "https" || !url.has_host() || !bare || !anonymous {
            return Err(refused());
        }
        let explicit = text
            .trim_end_matches('/')
            .rsplit(']')
            .next()
            .is_some_and(|tail| tail.ends_with(":443"));
        if url.port().is_none() && !explicit {
            url.set_port(Some(PORT)).map_err(|()| refused())?;
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// An API token, `USER@REALM!ID=SECRET`. Its secret is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    header: HeaderValue,
}

impl Token {
    /// The public part, `USER@REALM!ID`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl FromStr for Token {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        let (id, secret) = text.split_once('=').ok_or(ConfigError::Token)?;
        let (user, name) = id.rsplit_once('!').ok_or(ConfigError::Token)?;
        let parts = user
            .rsplit_once('@')
            .is_some_and(|(user, realm)| !user.is_empty() && !realm.is_empty());
        let printable = text.bytes().all(|b| b.is_ascii_graphic());
        if !parts || name.is_empty() || secret.is_empty() || !printable {
            return Err(ConfigError::Token);
        }
        let mut header =
            HeaderValue::from_str(&format!("PVEAPIToken={text}")).map_err(|_| ConfigError::Token)?;
        header.set_sensitive(true);
        Ok(Self {
            id: id.to_owned(),
            header,
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}=…)", self.id)
    }
}

/// The SHA-256 of a certificate, shown as Proxmox shows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl FromStr for Fingerprint {
    type Err = ConfigError;

    /// Hex, with or without colons.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let digits: Vec<u32> = text
            .trim()
            .chars()
            .filter(|c| *c != ':')
            .map_while(|c| c.to_digit(16))
            .collect();
        let pairs = text.trim().chars().filter(|c| *c != ':').count() == digits.len();
        let bytes: Vec<u8> = digits
            .chunks_exact(2)
            .filter_map(|pair| u8::try_from(pair.iter().fold(0, |sum, digit| sum * 16 + digit)).ok())
            .collect();
        let exact = pairs && digits.len() == 64;
        bytes
            .try_into()
            .ok()
            .filter(|_| exact)
            .map(Self)
            .ok_or(ConfigError::Fingerprint)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        f.write_str(&bytes.join(":"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How the cluster's certificates are known. There is no insecure choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Certificates of these authorities (PEM), valid for the endpoint's name.
    Ca(String),
    /// Exactly this certificate (SHA-256 of its DER form).
    Fingerprint([u8; 32]),
}

/// How to reach and trust a cluster.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the API answers; the first is tried first.
    pub endpoints: Vec<Endpoint>,
    /// Who we are.
    pub token: Token,
    /// How the cluster is known.
    pub trust: Trust,
    /// How long one call may take. Proxmox waits 10 s for its own locks.
    pub deadline: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_https_without_path() {
        for (text, shown, host) in [
            ("https://pve1", "https://pve1:8006", "pve1"),
            ("https://10.0.0.1:443/", "https://10.0.0.1", "10.0.0.1"),
            ("https://[fd00::1]", "https://[fd00::1]:8006", "fd00::1"),
            ("https://[fd00::443]", "https://[fd00::443]:8006", "fd00::443"),
            ("https://pve1:9999", "https://pve1:9999", "pve1"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.to_string().as_str(), endpoint.host()), (shown, host));
        }
        for text in [
            "",
            "pve1",
            "http://pve1",
            "https://",
            "https://a:b@pve1",
            "https://pve1/x",
            "https://pve1/?a",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn token_is_never_shown() {
        let token: Token = "dc@pve!op=aaaa-bbbb\n".parse().unwrap();
        assert_eq!(token.id(), "dc@pve!op");
        assert!(!format!("{token:?}{:?}", token.header()).contains("aaaa"));
        for text in [
            "",
            "dc@pve!op",
            "dc@pve=secret",
            "dc!op=secret",
            "dc@pve!op=",
            "dc@pve!op=a b",
            "@pve!op=a",
        ] {
            let error = text.parse::<Token>().unwrap_err();
            assert!(!format!("{error:?}{error}").contains("secret"), "{text}");
        }
    }

    #[test]
    fn fingerprints_are_read_as_people_copy_them() {
        let text = (0..32).map(|i| format!("{i:02X}")).collect::<Vec<_>>().join(":");
        let print: Fingerprint = text.parse().unwrap();
        assert_eq!(print.to_string(), text);
        assert_eq!(
            text.replace(':', "")
                .to_lowercase()
                .parse::<Fingerprint>()
                .unwrap(),
            print
        );
        for bad in [
            &text[3..],
            "",
            "zz",
            &format!("{text}:00"),
            &text.replace('A', "g"),
        ] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }
}
