//! Alerts of the same organization.

use super::{page, stamp, tabs};
use crate::alerts::view::{AlertRow, AlertsPage, HeldCalls};
use crate::pages::{Pager, Section};

fn row(title: &str, (severity, class): (&str, &'static str), last_seen: i64) -> AlertRow {
    AlertRow {
        id: last_seen.to_string(),
        severity: severity.into(),
        class,
        title: title.into(),
        detail: None,
        customer: None,
        count: None,
        last_seen: stamp(last_seen),
        is_open: true,
        held: None,
    }
}

pub(crate) fn alerts() -> AlertsPage {
    let (critical, warning) = (("Critical", "bad"), ("Warning", "warn"));
    let held = |is_held| {
        Some(HeldCalls {
            id: "77".into(),
            is_held,
        })
    };
    let mut page = page(Section::Alerts);
    page.alerts = 3;
    AlertsPage {
        page,
        tabs: tabs(&["Open", "Seen to", "All"]),
        rows: vec![
            AlertRow {
                detail: Some("Nobody has called there lately".into()),
                held: held(true),
                ..row("Calls to CU are held", critical, 40)
            },
            AlertRow {
                detail: Some("400 of 500".into()),
                customer: Some(("Northwind Dental".into(), "/customers/0197".into())),
                ..row("80 % of the cap on spending is reached", warning, 900)
            },
            AlertRow {
                detail: Some("`customerId` is not a customer".into()),
                count: Some("10,000".into()),
                ..row("Usage was refused: customerId", warning, 5_000)
            },
            AlertRow {
                is_open: false,
                held: held(false),
                ..row("Calls to JM are held", critical, 90_000)
            },
        ],
        pager: Pager::default(),
    }
}
