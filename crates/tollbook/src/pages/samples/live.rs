//! The live page of the afternoon.

use super::{ago, hours, page, party, phone, stamp, text, usd};
use crate::alerts::view::AlertsNotice;
use crate::calls::view::card::{CallerCard, Notice, OpenInvoice, RecentCall};
use crate::calls::view::live::{
    Agent, Candidate, EndedCall, LivePage, NameCaller, RingingCall, RingingCaller, TalkingCall,
    Ticking, Tiles,
};
use crate::calls::view::{Direction, Outcome};
use crate::pages::chart::sparkline::Sparkline;
use crate::pages::{Note, Party, Price, Section};

pub(crate) fn notice(hours: &str) -> Notice {
    Notice::Subscriber {
        hours: hours.into(),
    }
}

fn recent(outcome: Outcome, days: i64, length: &str, agent: &str) -> RecentCall {
    RecentCall {
        href: "/calls/0197".into(),
        at: stamp(days * 86_400 + 4_000),
        outcome,
        length: length.into(),
        agent: (!agent.is_empty()).then(|| agent.into()),
    }
}

pub(crate) fn card(call_id: &str) -> CallerCard {
    CallerCard {
        text: text(),
        call_id: call_id.into(),
        customer_href: "/customers/0197".into(),
        plan: Some("Support 10".into()),
        subscription: Some("Active".into()),
        hours: Some(hours(9_359, 10)),
        recent: vec![
            recent(Outcome::Completed, 0, "21:40", "Priya Nair"),
            recent(Outcome::Missed, 1, "", ""),
            recent(Outcome::Completed, 3, "4:12", "Tom Becker"),
            recent(Outcome::Voicemail, 9, "0:48", ""),
            recent(Outcome::Completed, 12, "1:02:03", "Priya Nair"),
        ],
        invoices: vec![
            OpenInvoice {
                href: "/invoices/1".into(),
                number: "BL-2026-000118".into(),
                open: usd(45_000),
                due_on: "Nov 15".into(),
                is_overdue: true,
            },
            OpenInvoice {
                href: "/invoices/2".into(),
                number: "BL-2026-000131".into(),
                open: usd(6_480),
                due_on: "Dec 1".into(),
                is_overdue: false,
            },
        ],
        open_total: Some(usd(51_480)),
        notes: vec![Note {
            author: "Tom Becker".into(),
            at: stamp(3 * 86_400),
            text: "Prefers to be called back after 4 pm. Runs the new router since Monday.".into(),
        }],
        may_write: true,
        csrf: "token".into(),
    }
}

fn ringing(id: &str, from: Party, seconds: i64, caller: RingingCaller) -> RingingCall {
    RingingCall {
        text: text(),
        id: id.into(),
        direction: Direction::Inbound,
        from,
        line: phone("+12125550142"),
        line_label: Some("Support line".into()),
        ringing: Ticking::new(ago(seconds), ago(0)),
        caller,
        csrf: "token".into(),
    }
}

fn naming(call_id: &str, e164: &str) -> NameCaller {
    NameCaller {
        text: text(),
        call_id: call_id.into(),
        phone: phone(e164),
        csrf: "token".into(),
    }
}

pub(crate) fn unknown_caller() -> RingingCall {
    let caller = RingingCaller::Unknown {
        notice: Notice::PayPerCall {
            rate: Some(usd(150)),
        },
        naming: Some(naming("r2", "+16465550177")),
    };
    ringing("r2", party("", "", "+16465550177"), 4, caller)
}

pub(crate) fn candidates() -> RingingCall {
    let one = |id: &str, name: &str, company: &str, notice| Candidate {
        customer_id: id.into(),
        name: name.into(),
        company: Some(company.into()),
        notice,
    };
    let caller = RingingCaller::Several(vec![
        one("c1", "Grace Okafor", "Juniper & Co", notice("12.0")),
        one(
            "c2",
            "Sam Okafor",
            "Okafor Plumbing",
            Notice::Expired { rate: None },
        ),
    ]);
    ringing("r3", party("", "", "+13475550109"), 2, caller)
}

pub(crate) fn talking(
    id: &str,
    with: Party,
    agent: &str,
    seconds: i64,
    left: Option<u64>,
    cost: Price,
) -> TalkingCall {
    TalkingCall {
        text: text(),
        id: id.into(),
        direction: if seconds > 3_000 {
            Direction::Outbound
        } else {
            Direction::Inbound
        },
        line: phone("+12125550142"),
        line_label: Some("Support line".into()),
        agent: Some(agent.into()),
        since: Ticking::new(ago(seconds), ago(0)),
        left_at_answer_seconds: left,
        cost,
        card: with.name.is_some().then(|| Box::new(card(id))),
        naming: with.name.is_none().then(|| naming(id, "+16465550123")),
        with,
    }
}

fn ended(
    id: &str,
    with: Party,
    agent: &str,
    outcome: Outcome,
    seconds: i64,
    length: &str,
    price: Price,
) -> EndedCall {
    EndedCall {
        text: text(),
        id: id.into(),
        direction: Direction::Inbound,
        with,
        agent: (!agent.is_empty()).then(|| agent.into()),
        outcome,
        ended: stamp(seconds),
        length: length.into(),
        price,
    }
}

pub(crate) fn live() -> LivePage {
    let known = RingingCaller::Known {
        notice: notice("2.5"),
        card: Box::new(card("r1")),
    };
    LivePage {
        page: page(Section::Live),
        alerts: Some(AlertsNotice {
            text: text(),
            count: 2,
        }),
        tiles: tiles(),
        agents: agents(),
        ringing: vec![
            ringing(
                "r1",
                party("Dana Whitfield", "Northwind Dental", "+12125550100"),
                7,
                known,
            ),
            unknown_caller(),
        ],
        talking: vec![
            talking(
                "t3",
                party("", "", "+16465550123"),
                "Aisha Rahman",
                95,
                None,
                Price::Amount(usd(300)),
            ),
            talking(
                "t1",
                party("Mateo Alvarez", "Harbor Logistics", "+12125550119"),
                "Priya Nair",
                754,
                Some(34_920),
                Price::Included,
            ),
            talking(
                "t2",
                party("Lena Fischer", "Acme Plumbing", "+4930901820"),
                "Tom Becker",
                3_723,
                Some(2_700),
                Price::Amount(usd(2_040)),
            ),
        ],
        ended: all_ended(),
        has_numbers: true,
    }
}

fn tiles() -> Tiles {
    Tiles {
        text: text(),
        waiting: 2,
        talking: 3,
        answered_today: 148,
        answered_by_hour: Some(Sparkline::new(
            "Answered per hour".into(),
            &[3, 9, 14, 22, 18, 25, 21, 24, 12],
        )),
        missed_today: 11,
        wait_average: Some("0:09".into()),
        handling_average: Some("4:31".into()),
        service_level_percent: Some(94),
        service_level_seconds: 20,
        agents_available: 2,
        agents_busy: 3,
    }
}

fn agents() -> Vec<Agent> {
    let agent = |id: &str, name: &str, call: Option<(&str, i64)>| Agent {
        text: text(),
        user_id: id.into(),
        name: name.into(),
        call: call.map(|(with, seconds)| (with.to_owned(), Ticking::new(ago(seconds), ago(0)))),
    };
    vec![
        agent("u1", "Priya Nair", Some(("Mateo Alvarez", 754))),
        agent("u2", "Tom Becker", Some(("Lena Fischer", 3_723))),
        agent("u3", "Aisha Rahman", Some(("+1 646-555-0123", 95))),
        agent("u4", "Jonas Weber", None),
        agent("u5", "Maya Lindqvist", None),
    ]
}

fn all_ended() -> Vec<EndedCall> {
    vec![
        ended(
            "e1",
            party("Grace Okafor", "Juniper & Co", "+12125550161"),
            "Priya Nair",
            Outcome::Completed,
            60,
            "21:40",
            Price::Included,
        ),
        ended(
            "e2",
            party("", "", ""),
            "",
            Outcome::Missed,
            200,
            "",
            Price::Free,
        ),
        ended(
            "e3",
            party("Noah Petersen", "", "+12125550165"),
            "Jonas Weber",
            Outcome::Completed,
            620,
            "2:05",
            Price::Amount(usd(450)),
        ),
        ended(
            "e4",
            party("Bright Path School", "", "+12125550166"),
            "",
            Outcome::Voicemail,
            840,
            "0:31",
            Price::Free,
        ),
        ended(
            "e5",
            party("Ruth Adeyemi", "Northwind Dental", "+12125550167"),
            "Tom Becker",
            Outcome::Completed,
            1_500,
            "12:44",
            Price::Pending,
        ),
        ended(
            "e6",
            party("", "", "+16465550188"),
            "Aisha Rahman",
            Outcome::Completed,
            2_400,
            "0:52",
            Price::Amount(usd(150)),
        ),
    ]
}
