//! What was being done: the words of an error, the label of a metric.

use std::fmt;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// The token asks about itself.
    Verify,
    /// Read of one zone, or search for it.
    ReadZone,
    /// List of records.
    List,
    /// Read of one record.
    Read,
    /// A new record.
    Create,
    /// A record that says something else.
    Update,
    /// A record that goes.
    Delete,
}

impl Act {
    /// The act as a metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::ReadZone => "read_zone",
            Self::List => "list",
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// Whether it changes something.
    #[must_use]
    pub const fn mutates(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete)
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verify => "verify the Cloudflare token",
            Self::ReadZone => "read the zone at Cloudflare",
            Self::List => "list DNS records at Cloudflare",
            Self::Read => "read a DNS record at Cloudflare",
            Self::Create => "create a DNS record at Cloudflare",
            Self::Update => "update a DNS record at Cloudflare",
            Self::Delete => "delete a DNS record at Cloudflare",
        })
    }
}
