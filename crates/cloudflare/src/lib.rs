//! Cloudflare DNS client.
