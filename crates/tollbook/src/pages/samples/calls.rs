//! The list of the afternoon's communications, and one call.

use super::{ago, hours, page, party, phone, stamp, tabs, usd, viewer};
use crate::calls::view::call::{
    CallPage, ChargeView, Corrections, Fact, Leg, Recording, TimelineEntry, TraceStep, Transcript,
    TranscriptLine, Webhook,
};
use crate::calls::view::list::{CommunicationRow, CommunicationsFilter, CommunicationsPage, Kind};
use crate::calls::view::{Direction, Outcome};
use crate::corrections::view::{CorrectPage, EffectView, PageAct};
use crate::invoices::act_view::{Changed, Field};
use crate::pages::time::Stamp;
use crate::pages::{Choice, Pager, Party, Price, Section};

fn row(
    index: usize,
    kind: Kind,
    with: Party,
    outcome: Outcome,
    length: &str,
    price: Price,
) -> CommunicationRow {
    let minutes = i64::try_from(index).unwrap() * 197 + 3;
    CommunicationRow {
        id: index.to_string(),
        href: "/calls/0197".into(),
        kind,
        direction: if index.is_multiple_of(3) { Direction::Outbound } else { Direction::Inbound },
        with,
        line: "Support line".into(),
        agent: (kind == Kind::Call && !length.is_empty()).then(|| "Priya Nair".into()),
        at: stamp(minutes * 60),
        outcome,
        length: length.into(),
        excerpt: match kind {
            Kind::Call => None,
            Kind::Message => Some("Thanks, the printer works again. Could you send the invoice to our new address?".into()),
            Kind::Voicemail => Some("“Hi, this is Ruth from Northwind. The phones in the second office have been dead since noon …”".into()),
        },
        has_recording: !length.is_empty(),
        price,
    }
}

pub(crate) fn rows() -> Vec<CommunicationRow> {
    let mut rows = today();
    rows.extend(yesterday());
    rows
}

fn today() -> Vec<CommunicationRow> {
    vec![
        row(
            0,
            Kind::Call,
            party("Grace Okafor", "Juniper & Co", "+12125550161"),
            Outcome::Completed,
            "21:40",
            Price::Included,
        ),
        row(
            1,
            Kind::Message,
            party("Mateo Alvarez", "Harbor Logistics", "+12125550119"),
            Outcome::Received,
            "",
            Price::Amount(usd(2)),
        ),
        row(
            2,
            Kind::Call,
            party("", "", ""),
            Outcome::Missed,
            "",
            Price::Free,
        ),
        row(
            3,
            Kind::Call,
            party("Lena Fischer", "Acme Plumbing", "+4930901820"),
            Outcome::Unanswered,
            "",
            Price::Free,
        ),
        row(
            4,
            Kind::Voicemail,
            party("Ruth Adeyemi", "Northwind Dental", "+12125550167"),
            Outcome::Voicemail,
            "0:48",
            Price::Free,
        ),
    ]
}

fn yesterday() -> Vec<CommunicationRow> {
    vec![
        row(
            5,
            Kind::Call,
            party("Noah Petersen", "", "+12125550165"),
            Outcome::Completed,
            "2:05",
            Price::Amount(usd(450)),
        ),
        row(
            6,
            Kind::Message,
            party("Dana Whitfield", "Northwind Dental", "+12125550100"),
            Outcome::Delivered,
            "",
            Price::Amount(usd(2)),
        ),
        row(
            7,
            Kind::Call,
            party("", "", "+16465550188"),
            Outcome::Completed,
            "1:02:03",
            Price::Amount(usd(9_450)),
        ),
        row(
            8,
            Kind::Call,
            party("Bright Path School", "", "+12125550166"),
            Outcome::Failed,
            "",
            Price::Free,
        ),
        row(
            9,
            Kind::Call,
            party("Ruth Adeyemi", "Northwind Dental", "+12125550167"),
            Outcome::Completed,
            "12:44",
            Price::Pending,
        ),
    ]
}

fn choices(labels: &[&str]) -> Vec<Choice> {
    let choice = |(index, label): (usize, &&str)| Choice {
        value: if index == 0 {
            String::new()
        } else {
            index.to_string()
        },
        label: (*label).into(),
        is_current: index == 0,
    };
    labels.iter().enumerate().map(choice).collect()
}

pub(crate) fn communications() -> CommunicationsPage {
    CommunicationsPage {
        page: page(Section::Communications),
        tabs: tabs(&["All", "Calls", "Messages", "Voicemails"]),
        filter: CommunicationsFilter {
            directions: choices(&["Any", "Incoming", "Outgoing"]),
            outcomes: choices(&["Any", "Completed", "Missed"]),
            numbers: choices(&["All numbers", "Support line", "Sales"]),
            ..CommunicationsFilter::default()
        },
        rows: rows(),
        pager: Pager {
            first: None,
            next: Some("/communications?cursor=abc".into()),
        },
        csv_href: "/communications.csv".into(),
    }
}

pub(crate) fn correct() -> CorrectPage {
    let choice = |value: &str, label: &str, is_current| Choice {
        value: value.into(),
        label: label.into(),
        is_current,
    };
    CorrectPage {
        page: page(Section::Communications),
        act: PageAct::Move,
        with: party("Grace Okafor", "Juniper & Co", "+12125550161"),
        href: "/calls/77".into(),
        query: "northwind".into(),
        customers: vec![
            choice("1", "Northwind Trading, +1 212 555 0171", true),
            choice("2", "Northwind Bakery", false),
        ],
        customer_problem: Some("Choose a customer.".into()),
        reason: Field {
            value: String::new(),
            problem: Some("must not be empty".into()),
        },
        problem: Some("it is this customer's already".into()),
        effect: Some(EffectView {
            rows: vec![Changed {
                label: "Next invoices of Northwind Trading".into(),
                before: usd(0),
                after: usd(240),
            }],
            notes: vec!["Credit note of 2.40 USD over INV-2026-000017".into()],
            fields: vec![("customer", "1".into()), ("seen", "1 USD 0.00 2.40".into())],
        }),
    }
}

pub(crate) fn call() -> CallPage {
    CallPage {
        page: page(Section::Communications),
        corrections: Some(Corrections {
            href: "/calls/77".into(),
            waived: None,
        }),
        direction: Direction::Inbound,
        outcome: Outcome::Completed,
        with: party("Grace Okafor", "Juniper & Co", "+12125550161"),
        line: phone("+12125550142"),
        line_label: Some("Support line".into()),
        agent: Some("Priya Nair".into()),
        started: stamp(7_200),
        length: "21:40".into(),
        price: Price::Amount(usd(240)),
        plan: Some("Support 10".into()),
        hours: Some(hours(0, 10)),
        timeline: timeline(),
        legs: vec![
            Leg {
                provider: "OpenPhone".into(),
                sid: "AC7f3e01b2".into(),
                from: "(212) 555-0161".into(),
                to: "(212) 555-0142".into(),
                state: "Completed".into(),
                length: "6:43".into(),
            },
            Leg {
                provider: "OpenPhone".into(),
                sid: "AC7f3e01b9".into(),
                from: "Priya Nair".into(),
                to: "Tom Becker".into(),
                state: "Completed".into(),
                length: "14:57".into(),
            },
        ],
        recordings: vec![Recording {
            src: "/recordings/0197/media".into(),
            media_type: "audio/mpeg".into(),
            length: "21:40".into(),
        }],
        transcript: transcript(),
        charges: charges(),
        margin: vec![
            Fact {
                label: "Provider cost".into(),
                value: "$0.29".into(),
            },
            Fact {
                label: "Charged".into(),
                value: "$2.40".into(),
            },
            Fact {
                label: "Margin".into(),
                value: "$2.11".into(),
            },
        ],
        webhooks: Some(webhooks()),
    }
}

fn at(seconds: i64) -> Stamp {
    viewer().stamp_to_the_second(ago(7_200 - seconds))
}

fn timeline() -> Vec<TimelineEntry> {
    let entry = |seconds, label: &str, detail: Option<&str>, outcome| TimelineEntry {
        at: at(seconds),
        label: label.into(),
        detail: detail.map(Into::into),
        outcome,
    };
    vec![
        entry(0, "Rings on Support line", None, Outcome::Ringing),
        entry(
            9,
            "Answered by Priya Nair",
            Some("After 9 s"),
            Outcome::InProgress,
        ),
        entry(412, "Transferred to Tom Becker", None, Outcome::InProgress),
        entry(
            1_309,
            "Ended by the caller",
            Some("21:40 talked"),
            Outcome::Completed,
        ),
        entry(1_322, "Recording arrived", None, Outcome::Completed),
        entry(1_360, "Transcript arrived", None, Outcome::Completed),
    ]
}

fn transcript() -> Transcript {
    let line = |start_ms, start: &str, speaker: &str, is_ours, words: &str| TranscriptLine {
        start_ms,
        start: start.into(),
        speaker: speaker.into(),
        is_ours,
        text: words.into(),
    };
    Transcript::Ready {
            summary: Some("The router lost its settings after a power cut. Priya restored the backup; Tom moved the phones to the new network. Follow-up on Monday.".into()),
            lines: vec![
                line(0, "0:00", "Priya Nair", true, "Brightline Support, this is Priya. How can I help?"),
                line(4_200, "0:04", "Grace Okafor", false, "Hi Priya, it’s Grace from Juniper. Since the power cut this morning nothing connects any more, and the lights on the router are all orange."),
                line(14_900, "0:14", "Priya Nair", true, "That sounds like it lost its configuration. I have last week’s backup here. Can you plug the laptop into port one?"),
                line(26_000, "0:26", "Grace Okafor", false, "Done. It says “limited connection”."),
                line(31_500, "0:31", "Priya Nair", true, "Perfect, that is what we want. I am restoring it now, give me two minutes."),
                line(158_000, "2:38", "Grace Okafor", false, "Oh, they went green!"),
            ],
        }
}

fn charges() -> Vec<ChargeView> {
    let step = |label: &str, detail: &str, value: &str| TraceStep {
        label: label.into(),
        detail: (!detail.is_empty()).then(|| detail.into()),
        value: value.into(),
    };
    vec![ChargeView {
        payer: "Juniper & Co".into(),
        terms: "Support 10, version 2".into(),
        amount: usd(240),
        invoice: Some(("BL-2026-000131".into(), "/invoices/2".into())),
        steps: vec![
            step("Answered time", "from 13:01:16 to 13:22:56", "1,300 s"),
            step("Rounded up in steps of 60 s", "1,300 s → 1,320 s", "22 min"),
            step(
                "Included hours used",
                "all that was left of 10.0 hours",
                "− 20 min",
            ),
            step("Past the hours", "22 min − 20 min", "2 min"),
            step("Price", "2 min × $1.20 per minute", "$2.40"),
        ],
    }]
}

fn webhooks() -> Vec<Webhook> {
    let hook = |seconds, event: &str, verdict: &str, body: &str| Webhook {
        received: at(seconds),
        event: event.into(),
        verdict: verdict.into(),
        is_failed: false,
        body: body.into(),
    };
    vec![
        hook(
            0,
            "call.ringing",
            "Processed",
            "{\n  \"type\": \"call.ringing\",\n  \"id\": \"EV1\"\n}",
        ),
        hook(1_310, "call.completed", "Processed", "{}"),
        hook(1_312, "call.completed", "Duplicate", "{}"),
    ]
}
