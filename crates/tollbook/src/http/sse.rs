//! Server-sent events on the wire.

use std::convert::Infallible;
use std::fmt::{Display, Write as _};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

/// Events that are sent together. A reader who is cut off goes on after the last block with an id.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    text: String,
}

impl Frames {
    /// How long a client waits before it connects again, in milliseconds.
    pub(crate) fn retry(&mut self, milliseconds: u32) {
        _ = write!(self.text, "retry: {milliseconds}\n\n");
    }

    /// One event. Lines end with any of CR, LF and CRLF in this format, so each becomes a field of its own.
    pub(crate) fn event(&mut self, name: &str, data: &str) {
        _ = writeln!(self.text, "event: {name}");
        for line in data.replace("\r\n", "\n").split(['\n', '\r']) {
            _ = writeln!(self.text, "data: {line}");
        }
        self.text.push('\n');
    }

    /// Whether there is nothing to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The id from which to go on after what was written so far. It becomes part of the last event, so that scripts see
    /// it too; alone it is a heartbeat.
    pub(crate) fn id(&mut self, id: impl Display) {
        if self.text.ends_with("\n\n") {
            self.text.pop();
        }
        _ = write!(self.text, "id: {id}\n\n");
    }

    /// The bytes, with the id from which to go on after them.
    pub(crate) fn finish(mut self, id: impl Display) -> Bytes {
        self.id(id);
        Bytes::from(self.text)
    }
}

/// The answer that stays open. Proxies are told not to hold it back.
pub(crate) fn response(events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    (headers, Body::from_stream(events.map(Ok::<_, Infallible>))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_part_of_the_last_event() {
        let mut frames = Frames::default();
        assert!(frames.is_empty());
        frames.event("put", "<li>\n</li>");
        frames.event("gone", "call-1");
        assert_eq!(
            frames.finish("7-1"),
            "event: put\ndata: <li>\ndata: </li>\n\nevent: gone\ndata: call-1\nid: 7-1\n\n"
        );
        assert_eq!(Frames::default().finish("8-1"), "id: 8-1\n\n");
    }

    #[test]
    fn data_cannot_break_out_of_its_event() {
        let mut frames = Frames::default();
        frames.event("put", "a\r\nid: 1\rretry: 9\n\nevent: x");
        assert_eq!(
            frames.finish(2),
            "event: put\ndata: a\ndata: id: 1\ndata: retry: 9\ndata: \ndata: event: x\nid: 2\n\n"
        );
    }
}
