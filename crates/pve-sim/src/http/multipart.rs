//! Uploads: the parts of a multipart body. Of a file only its name and size are kept.

use crate::api::params::Params;

/// Where the daemon would keep an upload; the size stands at the end of the name.
const TEMPORARY: &str = "/var/tmp/pveupload-";
/// More parts than any upload has.
const MOST_PARTS: usize = 16;

/// The parameters of a multipart body; nothing if it is none.
pub fn from_multipart(content_type: &str, body: &[u8]) -> Option<Params> {
    let boundary = content_type
        .split(';')
        .find_map(|part| part.trim().strip_prefix("boundary="))?;
    let boundary = format!("--{}", boundary.trim_matches('"'));
    let mut params = Params::default();
    let mut rest = after(body, boundary.as_bytes())?;
    for _ in 0..MOST_PARTS {
        let Some(end) = find(rest, boundary.as_bytes()) else {
            break;
        };
        let (part, next) = rest.split_at(end);
        rest = next.get(boundary.len()..)?;
        take(&mut params, part);
    }
    Some(params)
}

fn take(params: &mut Params, part: &[u8]) -> Option<()> {
    let head_end = find(part, b"\r\n\r\n")?;
    let (head, value) = part.split_at(head_end);
    let value = value.get(4..)?.strip_suffix(b"\r\n")?;
    let head = String::from_utf8_lossy(head);
    let named = |name: &str| {
        let mut parts = head.split([';', '\r', '\n']);
        let value = parts.find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))?;
        Some(value.trim_matches('"').to_owned())
    };
    let name = named("name")?;
    if let Some(file) = named("filename") {
        params.push(name, file);
        params.push("tmpfilename".to_owned(), format!("{TEMPORARY}{:x}", value.len()));
    } else {
        params.push(name, String::from_utf8_lossy(value).into_owned());
    }
    Some(())
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len().max(1))
        .position(|window| window == wanted)
}

fn after<'a>(text: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    text.get(find(text, wanted)? + wanted.len()..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_name_and_size() {
        let body = "--X1\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\niso\r\n--X1\r\nContent-Disposition: \
                    form-data; name=\"filename\"; filename=\"x.iso\"\r\nContent-Type: application/octet-stream\r\n\r\n\
                    hello\r\n--X1--\r\n";
        let params = from_multipart("multipart/form-data; boundary=X1", body.as_bytes()).unwrap();
        assert_eq!(params.text("content"), Some("iso"));
        assert_eq!(params.text("filename"), Some("x.iso"));
        assert_eq!(params.text("tmpfilename"), Some("/var/tmp/pveupload-5"));
    }

    #[test]
    fn a_broken_body_has_what_could_be_read() {
        assert!(from_multipart("multipart/form-data", b"--X1").is_none());
        assert!(from_multipart("multipart/form-data; boundary=X1", b"nothing").is_none());
        let params = from_multipart("multipart/form-data; boundary=X1", b"--X1\r\n\r\n--X1--").unwrap();
        assert_eq!(params.iter().count(), 0);
    }
}
