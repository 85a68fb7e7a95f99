//! The answer to an admin request, and the client that the request names.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, Response, StatusCode};

/// The client in a request's query, if there is one.
pub(super) fn client_of(request: &Request<Incoming>) -> Option<Vec<u8>> {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let mut named = pairs.filter_map(|pair| pair.strip_prefix("client="));
    named.next().and_then(decoded)
}

/// Decodes `%41` and the like. A `+` stays a plus, since ids contain no blanks.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        decoded.push(match byte {
            b'%' => u8::try_from(digit()? * 16 + digit()?).ok()?,
            other => other,
        });
    }
    (!decoded.is_empty()).then_some(decoded)
}

/// An answer to an admin request, before it is written as HTTP.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn plain(status: StatusCode, body: impl Into<String>) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            body: body.into(),
        }
    }

    pub(super) fn json(status: StatusCode, value: &impl serde::Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(json) => Self {
                status,
                kind: "application/json",
                body: json + "\n",
            },
            // This error needs a map whose keys are not strings, and no value here has one.
            Err(error) => Self::plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    /// The answer as HTTP.
    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(self.body));
        *response.status_mut() = self.status;
        let kind = HeaderValue::from_static(self.kind);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn an_id_in_a_url_is_taken_apart() {
        assert_eq!(
            decoded("kiwi+1%2F%ff").as_deref(),
            Some(&b"kiwi+1/\xff"[..])
        );
        for bad in ["", "%", "%4", "%zz"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
