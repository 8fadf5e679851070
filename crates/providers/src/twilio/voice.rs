//! What the provider wants to know of us when it asks for instructions, and the instructions (`TwiML`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tollbook_core::phone::E164;

/// Callers may speak for so long.
const MESSAGE_SECONDS_MAX: u32 = 300;

/// Where a call is that instructions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Somebody calls this number; `None` if it is no number.
    Incoming(Option<E164>),
    /// The leg that was dialled is over, and whether somebody talked on it.
    Dialled {
        /// Whether somebody talked.
        is_answered: bool,
    },
    /// The caller has left a message.
    Recorded,
}

/// Instructions for a call or a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Nothing more.
    Nothing,
    /// The call is not taken, which costs nothing.
    Reject,
    /// The call is over.
    HangUp,
    /// Rings the browsers and apps of these users, who answer under these names, all at once.
    Dial {
        /// Ten at most; the provider takes no more.
        clients: Vec<String>,
        /// How long they ring.
        seconds: u32,
        /// Asked for instructions when that is over.
        then_url: &'a str,
        /// Told how far the dialled legs are.
        status_url: &'a str,
    },
    /// Says something and records what the caller says.
    TakeMessage {
        /// What is said first.
        text: &'a str,
        /// Asked for instructions when that is over.
        then_url: &'a str,
        /// Told when the recording can be fetched.
        recorded_url: &'a str,
    },
}

/// Reads what is asked from a webhook's parameters.
pub fn asked(parameters: &[u8]) -> Asked {
    let found: BTreeMap<_, _> = form_urlencoded::parse(parameters).collect();
    let get = |name: &str| {
        found
            .get(name)
            .map(AsRef::as_ref)
            .filter(|it| !it.is_empty())
    };
    if let Some(status) = get("DialCallStatus") {
        let is_answered = matches!(status, "completed" | "answered");
        return Asked::Dialled { is_answered };
    }
    if get("RecordingUrl").is_some() {
        return Asked::Recorded;
    }
    Asked::Incoming(get("To").and_then(|to| to.parse().ok()))
}

impl Answer<'_> {
    /// The most that ring at once.
    pub const CLIENTS_MAX: usize = 10;

    /// The document.
    pub fn document(&self) -> String {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>");
        // Writing to a text cannot fail.
        let _ = self.write(&mut text);
        text.push_str("</Response>");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Reject => text.write_str("<Reject/>"),
            Self::HangUp => text.write_str("<Hangup/>"),
            Self::Dial {
                clients,
                seconds,
                then_url,
                status_url,
            } => {
                let (then, status) = (escaped(then_url), escaped(status_url));
                write!(text, "<Dial timeout=\"{seconds}\" action=\"{then}\">")?;
                for client in clients.iter().take(Self::CLIENTS_MAX) {
                    let client = escaped(client);
                    write!(
                        text,
                        "<Client statusCallback=\"{status}\" statusCallbackEvent=\"initiated ringing answered completed\">{client}</Client>"
                    )?;
                }
                text.write_str("</Dial>")
            }
            Self::TakeMessage {
                text: said,
                then_url,
                recorded_url,
            } => {
                let (said, then, recorded) =
                    (escaped(said), escaped(then_url), escaped(recorded_url));
                write!(
                    text,
                    "<Say>{said}</Say><Record maxLength=\"{MESSAGE_SECONDS_MAX}\" action=\"{then}\" \
                     recordingStatusCallback=\"{recorded}\" recordingStatusCallbackEvent=\"completed absent\"/><Hangup/>"
                )
            }
        }
    }
}

/// A text as it may stand between tags and in quotation marks.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no such characters, not even escaped.
            other if other.is_control() && !matches!(other, '\t' | '\n' | '\r') => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_in_the_parameters() {
        assert_eq!(
            asked(include_bytes!("samples/voice.form")),
            Asked::Incoming(Some("+12025550100".parse().unwrap()))
        );
        assert_eq!(
            asked(include_bytes!("samples/dial_completed.form")),
            Asked::Dialled { is_answered: true }
        );
        assert_eq!(
            asked(include_bytes!("samples/dial_no_answer.form")),
            Asked::Dialled { is_answered: false }
        );
        assert_eq!(
            asked(b"CallSid=CA1&RecordingUrl=https%3A%2F%2Fa.example&Digits=hangup"),
            Asked::Recorded
        );
        assert_eq!(asked(b"To=client%3Aada"), Asked::Incoming(None));
    }

    #[test]
    fn instructions_are_well_formed_whatever_is_in_them() {
        let dial = Answer::Dial {
            clients: vec!["u_1".to_owned(), "<\"&\u{1}>".to_owned()],
            seconds: 20,
            then_url: "https://a.example/voice?x=1&y=2",
            status_url: "https://a.example/status",
        };
        insta::assert_snapshot!(dial.document(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <Response><Dial timeout="20" action="https://a.example/voice?x=1&amp;y=2"><Client statusCallback="https://a.example/status" statusCallbackEvent="initiated ringing answered completed">u_1</Client><Client statusCallback="https://a.example/status" statusCallbackEvent="initiated ringing answered completed">&lt;&quot;&amp;&gt;</Client></Dial></Response>
        "#);
        let message = Answer::TakeMessage {
            text: "Tom & Ann",
            then_url: "https://a.example/voice",
            recorded_url: "https://a.example/recorded",
        };
        insta::assert_snapshot!(message.document(), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <Response><Say>Tom &amp; Ann</Say><Record maxLength="300" action="https://a.example/voice" recordingStatusCallback="https://a.example/recorded" recordingStatusCallbackEvent="completed absent"/><Hangup/></Response>
        "#);
        let short = [Answer::Nothing, Answer::Reject, Answer::HangUp].map(|it| it.document());
        assert!(short[0].ends_with("<Response></Response>"));
        assert!(short[1].ends_with("<Response><Reject/></Response>"));
        assert!(short[2].ends_with("<Response><Hangup/></Response>"));
    }
}
