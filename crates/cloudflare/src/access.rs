//! What a client needs to know about Cloudflare, checked once: the address, the token, whom to trust.
//! The token is never printed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use cloudflare::framework::Environment;
use cloudflare::framework::auth::Credentials;
use reqwest::Url;
use reqwest::header::HeaderValue;

/// Why an access is refused. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Not an address of the API.
    #[error("{given:?} is not of the form https://host/client/v4/ (http only to a loopback address)")]
    Endpoint {
        /// What was given.
        given: String,
    },
    /// Not a token.
    #[error("the token is not a Cloudflare API token (letters, digits, - and _, 20 to 128 of them)")]
    Token,
    /// The CA bundle holds no usable certificate.
    #[error("failed to read the CA bundle")]
    Ca {
        /// What the HTTP library says; nothing where the bundle is empty.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// The HTTP client could not be built.
    #[error("failed to set up the HTTP client")]
    Http {
        /// What the HTTP library says.
        #[source]
        source: reqwest::Error,
    },
}

/// Where the API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// Cloudflare itself.
    pub const PRODUCTION: &str = "https://api.cloudflare.com/client/v4/";

    /// As the endpoint traits take it; the address is good, so making it a URL again cannot fail.
    pub(crate) fn environment(&self) -> Environment {
        if self.0.as_str() == Self::PRODUCTION {
            return Environment::Production;
        }
        Environment::Custom(self.0.as_str().to_owned())
    }
}

impl FromStr for Endpoint {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let refused = || AccessError::Endpoint {
            given: text.chars().take(200).collect(),
        };
        let mut url = Url::parse(text).map_err(|_| refused())?;
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let host: Option<std::net::IpAddr> = url
            .host_str()
            .and_then(|host| host.trim_matches(['[', ']']).parse().ok());
        let loopback = host.is_some_and(|address| address.is_loopback());
        let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback);
        let plain = url.query().is_none() && url.fragment().is_none() && url.has_host();
        let anonymous = url.username().is_empty() && url.password().is_none();
        if scheme && plain && anonymous {
            Ok(Self(url))
        } else {
            Err(refused())
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// An API token. Never shown.
#[derive(Clone)]
pub struct Token(Credentials);

impl Token {
    /// The headers that carry it, marked as secret.
    pub(crate) fn headers(&self) -> Result<reqwest::header::HeaderMap, AccessError> {
        let mut headers = reqwest::header::HeaderMap::new();
        for (name, value) in self.0.headers() {
            let mut value = HeaderValue::from_str(&value).map_err(|_| AccessError::Token)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

impl FromStr for Token {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let token = text.trim();
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if !(20..=128).contains(&token.len()) || !token.bytes().all(good) {
            return Err(AccessError::Token);
        }
        Ok(Self(Credentials::UserAuthToken {
            token: token.to_owned(),
        }))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Whose certificates are trusted. There is no insecure choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those that the machine trusts.
    System,
    /// Those of these authorities (PEM), and no others.
    Ca(String),
}

/// How to reach Cloudflare.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where the API is.
    pub endpoint: Endpoint,
    /// Who we are.
    pub token: Token,
    /// Whose certificates are trusted.
    pub trust: Trust,
    /// How long one call may take, from connecting to the last byte.
    pub deadline: Duration,
    /// How many records a page of a list has; from 1 to 5 000. A list that fits one page is read in one piece.
    pub page: u32,
}

impl Access {
    /// Cloudflare itself, with usual values.
    ///
    /// # Errors
    /// If the token has not the form of one.
    pub fn production(token: &str) -> Result<Self, AccessError> {
        Ok(Self {
            endpoint: Endpoint::PRODUCTION.parse()?,
            token: token.parse()?,
            trust: Trust::System,
            deadline: Duration::from_secs(15),
            page: 1_000,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "https://api.cloudflare.com/client/v4",
        "https://api.cloudflare.com/client/v4/"
    )]
    #[case("http://127.0.0.1:80/client/v4/", "http://127.0.0.1/client/v4/")]
    #[case("http://[::1]:9/x", "http://[::1]:9/x/")]
    fn endpoints_end_with_a_slash(#[case] given: &str, #[case] kept: &str) {
        let endpoint: Endpoint = given.parse().unwrap();
        assert_eq!(endpoint.to_string(), kept);
        let url = Url::from(&endpoint.environment());
        assert_eq!(url.join("zones").unwrap().as_str(), format!("{kept}zones"));
    }

    #[rstest]
    #[case("")]
    #[case("api.cloudflare.com")]
    #[case("http://api.cloudflare.com/client/v4/")]
    #[case("http://192.0.2.1/")]
    #[case("https://user:pass@api.cloudflare.com/")]
    #[case("https://api.cloudflare.com/?a")]
    #[case("ftp://127.0.0.1/")]
    fn other_addresses_are_refused(#[case] given: &str) {
        assert!(given.parse::<Endpoint>().is_err());
    }

    #[test]
    fn a_token_is_never_shown() {
        let secret = "abcdefghijklmnopqrstuvwxyz0123456789ABCD";
        let access = Access::production(&format!(" {secret}\n")).unwrap();
        assert!(!format!("{access:?}").contains(secret));
        let headers = access.token.headers().unwrap();
        assert!(!format!("{headers:?}").contains(secret));
        assert_eq!(headers["authorization"], format!("Bearer {secret}"));
        for bad in [
            "",
            "short",
            &format!("{secret} x"),
            &"a".repeat(129),
            &secret.replace('a', "ü"),
        ] {
            let error = bad.parse::<Token>().unwrap_err();
            assert!(
                bad.is_empty() || !format!("{error:?}{error}").contains(bad),
                "{bad}"
            );
        }
    }
}
