//! Customers and invoices of the same organization, and the small pages.

use super::{hours, page, phone, rows, stamp, tabs, text, usd};
use crate::calls::view::card::OpenInvoice;
use crate::customers::view::{
    Contact, CustomerPage, CustomerRow, CustomersPage, Standing, SubscriptionView,
};
use crate::http::view::ErrorPage;
use crate::identity::view::LoginPage;
use crate::invoices::view::{
    ActLink, Address, InvoiceLine, InvoicePage, InvoiceRow, InvoiceState, InvoicesPage, LineCall,
    TaxLine,
};
use crate::pages::chart::columns::{Column, ColumnWords, Columns};
use crate::pages::{Note, Pager, Section};
use crate::search::view::{SearchGroup, SearchHit, SearchPage};

fn customer_row(
    name: &str,
    company: &str,
    standing: Standing,
    left: Option<u64>,
    open: i64,
    last: i64,
) -> CustomerRow {
    CustomerRow {
        id: name.len().to_string(),
        href: "/customers/0197".into(),
        name: name.into(),
        company: (!company.is_empty()).then(|| company.into()),
        standing,
        plan: left.map(|_| "Support 10".into()),
        phones: vec![phone("+12125550161")],
        hours: left.map(|left| hours(left, 10)),
        open: (open != 0).then(|| usd(open)),
        last_call: (last > 0).then(|| stamp(last)),
    }
}

pub(crate) fn customers() -> CustomersPage {
    CustomersPage {
        page: page(Section::Customers),
        tabs: tabs(&["All", "Subscribers", "Pay per call", "Expired", "Prospects"]),
        q: String::new(),
        tab: String::new(),
        rows: vec![
            customer_row(
                "Northwind Dental",
                "",
                Standing::Subscriber,
                Some(9_359),
                51_480,
                420,
            ),
            customer_row(
                "Juniper & Co",
                "Grace Okafor",
                Standing::Subscriber,
                Some(0),
                240,
                7_200,
            ),
            customer_row(
                "Harbor Logistics",
                "Mateo Alvarez",
                Standing::Subscriber,
                Some(34_166),
                0,
                754,
            ),
            customer_row(
                "Acme Plumbing",
                "Lena Fischer",
                Standing::Subscriber,
                Some(5_200),
                0,
                3_700,
            ),
            customer_row(
                "Bright Path School",
                "",
                Standing::Expired,
                None,
                12_000,
                90_000,
            ),
            customer_row("Noah Petersen", "", Standing::PayPerCall, None, 450, 620),
            customer_row("(646) 555-0188", "", Standing::Prospect, None, 0, 400_000),
            customer_row(
                "Okafor Plumbing",
                "Sam Okafor",
                Standing::PayPerCall,
                None,
                0,
                0,
            ),
        ],
        pager: Pager {
            first: Some("/customers".into()),
            next: Some("/customers?cursor=x".into()),
        },
        linking: None,
    }
}

fn usage() -> Columns {
    let seconds = [
        0, 4_200, 12_100, 0, 3_400, 900, 0, 0, 5_100, 6_400, 2_200, 11_000, 700, 0, 0, 3_800,
        1_900, 7_200, 0, 14_000, 1_300,
    ];
    let columns = seconds.iter().enumerate().map(|(day, seconds)| Column {
        label: format!("Nov {}", day + 1),
        value: *seconds,
        shown: crate::pages::duration::clock(*seconds),
        href: Some(format!("/communications?from=2026-11-{:02}", day + 1)),
    });
    let words = ColumnWords {
        title: "Time talked per day, November".into(),
        axis: "Day".into(),
        unit: "Time".into(),
        zone: "America/New_York".into(),
    };
    Columns::new(text(), words, columns.collect(), 3_600, |seconds| {
        format!("{} h", crate::pages::duration::hours(text(), seconds))
    })
}

fn invoice_row(
    number: Option<&str>,
    customer: &str,
    state: InvoiceState,
    total: i64,
    open: i64,
) -> InvoiceRow {
    InvoiceRow {
        href: "/invoices/0197".into(),
        number: number.map(Into::into),
        customer: customer.into(),
        state,
        period: "Nov 1 to Nov 30".into(),
        issued_on: number.map(|_| "Nov 1, 2026".into()),
        due_on: number.map(|_| "Nov 15, 2026".into()),
        total: usd(total),
        open: usd(open),
    }
}

pub(crate) fn invoices() -> InvoicesPage {
    InvoicesPage {
        page: page(Section::Invoices),
        tabs: tabs(&["All", "Draft", "Open", "Overdue", "Paid", "Void"]),
        q: String::new(),
        tab: String::new(),
        rows: vec![
            invoice_row(
                None,
                "Northwind Dental",
                InvoiceState::Draft,
                51_240,
                51_240,
            ),
            invoice_row(
                Some("BL-2026-000131"),
                "Northwind Dental",
                InvoiceState::Open,
                6_480,
                6_480,
            ),
            invoice_row(
                Some("BL-2026-000130"),
                "Harbor Logistics",
                InvoiceState::Paid,
                45_000,
                0,
            ),
            invoice_row(
                Some("BL-2026-000129"),
                "Noah Petersen",
                InvoiceState::Paid,
                450,
                0,
            ),
            invoice_row(
                Some("BL-2026-000118"),
                "Northwind Dental",
                InvoiceState::Overdue,
                45_000,
                45_000,
            ),
            invoice_row(
                Some("BL-2026-000117"),
                "Bright Path School",
                InvoiceState::Uncollectible,
                123_456_700,
                123_456_700,
            ),
            invoice_row(
                Some("BL-2026-000112"),
                "Okafor Plumbing",
                InvoiceState::Void,
                12_000,
                0,
            ),
        ],
        pager: Pager::default(),
    }
}

pub(crate) fn customer() -> CustomerPage {
    let mut invoices = invoices().rows;
    invoices.truncate(3);
    CustomerPage {
        page: page(Section::Customers),
        id: "0197".into(),
        name: "Northwind Dental".into(),
        company: None,
        standing: Standing::Subscriber,
        alerts: vec!["80 % of the cap on spending is reached".into()],
        since: "Mar 3, 2025".into(),
        contacts: vec![
            Contact {
                name: Some("Dana Whitfield".into()),
                email: Some("dana@northwind.example".into()),
                phones: vec![phone("+12125550100"), phone("+16465550101")],
            },
            Contact {
                name: Some("Ruth Adeyemi".into()),
                email: None,
                phones: vec![phone("+12125550167")],
            },
        ],
        subscription: Some(SubscriptionView {
            plan: "Support 10".into(),
            state: "Active".into(),
            is_active: true,
            price: "$450.00 a month".into(),
            period: "Nov 1 to Nov 30".into(),
            renews_on: Some("Dec 1".into()),
            overage: Some("$1.20 per minute".into()),
        }),
        hours: Some(hours(9_359, 10)),
        balance: usd(51_480),
        open_invoices: vec![
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
        unbilled: Some(usd(6_240)),
        usage: Some(usage()),
        history: rows().into_iter().take(6).collect(),
        history_href: "/communications?customer=0197".into(),
        invoices,
        notes: vec![Note {
            author: "Tom Becker".into(),
            at: stamp(3 * 86_400),
            text: "Prefers to be called back after 4 pm. Runs the new router since Monday.".into(),
        }],
        may_write: true,
        refused_note: None,
    }
}

fn line_call(
    days: i64,
    raw: &str,
    billed: &str,
    included: Option<&str>,
    rate: Option<&str>,
    cents: i64,
) -> LineCall {
    LineCall {
        href: "/calls/0197".into(),
        at: stamp(days * 86_400),
        with: "Dana Whitfield".into(),
        raw: raw.into(),
        billed: billed.into(),
        included: included.map(Into::into),
        rate: rate.map(Into::into),
        amount: usd(cents),
    }
}

pub(crate) fn invoice() -> InvoicePage {
    let line = |id: &str,
                description: &str,
                detail: &str,
                quantity: &str,
                unit_price: &str,
                cents,
                calls: Vec<LineCall>| InvoiceLine {
        id: id.into(),
        description: description.into(),
        detail: Some(detail.into()),
        quantity: quantity.into(),
        unit_price: unit_price.into(),
        amount: usd(cents),
        calls_count: u64::try_from(calls.len()).unwrap() * 4,
        calls_href: (!calls.is_empty()).then(|| "/communications?invoice=0197".into()),
        calls,
    };
    InvoicePage {
        page: page(Section::Invoices),
        id: "0197".into(),
        number: Some("BL-2026-000131".into()),
        state: InvoiceState::Open,
        seller: Address { name: "Brightline Support".into(), lines: vec!["48 Fulton Street".into(), "New York, NY 10038".into(), "Tax no. 12-3456789".into()] },
        buyer: Address { name: "Northwind Dental".into(), lines: vec!["Dana Whitfield".into(), "210 West 70th Street".into(), "New York, NY 10023".into()] },
        customer_href: Some("/customers/0197".into()),
        period: "Nov 1 to Nov 30".into(),
        issued_on: Some("Dec 1, 2026".into()),
        due_on: Some("Dec 15, 2026".into()),
        currency: "USD".into(),
        lines: vec![
            line("1", "Support 10", "Dec 1 to Dec 31, in advance", "1", "$450.00", 45_000, vec![]),
            line("2", "Included hours", "10.0 hours of 10.0", "600 min", "included", 0, vec![
                line_call(9, "1:02:03", "63 min", Some("63 min"), None, 0),
                line_call(8, "4:12", "5 min", Some("5 min"), None, 0),
            ]),
            line("3", "Calls past the included hours", "Nov 1 to Nov 30", "52 min", "$1.20", 6_240, vec![
                line_call(4, "21:40", "22 min", Some("20 min"), Some("$1.20/min"), 240),
                line_call(3, "0:45", "1 min", None, Some("$1.20/min"), 120),
                line_call(1, "48:10", "49 min", None, Some("$1.20/min"), 5_880),
            ]),
            line("4", "Messages", "Nov 1 to Nov 30", "120", "$0.02", 240, vec![]),
        ],
        subtotal: usd(51_480),
        taxes: vec![TaxLine { label: "Sales tax 8.875 %".into(), amount: usd(4_569) }],
        total: usd(56_049),
        paid: usd(10_000),
        open: usd(46_049),
        finalizes_at: None,
        may_finalize: false,
        credited: usd(0),
        acts: vec![ActLink { href: "/invoices/0197/payment".into(), label: "Record payment".into(), is_primary: true }],
        void_reason: None,
        closing: vec!["All 212 usages of the period were rated when it was closed.".to_owned()],
        footer: Some("Please pay within 14 days by transfer to the account you know, and name the invoice’s number. Thank you.".into()),
    }
}

pub(crate) fn login() -> LoginPage {
    LoginPage {
        page: page(Section::None),
        email: String::new(),
        next: "/".into(),
        problem: None,
    }
}

pub(crate) fn error(status: u16, detail: &str) -> ErrorPage {
    ErrorPage {
        page: page(Section::None),
        status,
        detail: detail.into(),
        request_id: "01a2b3c4".into(),
    }
}

pub(crate) fn search() -> SearchPage {
    let hit = |href: &str, label: &str, detail: &str| SearchHit {
        href: href.into(),
        label: label.into(),
        detail: Some(detail.into()),
    };
    SearchPage {
        page: page(Section::None),
        q: "no".into(),
        groups: vec![
            SearchGroup {
                label: "Customers".into(),
                hits: vec![
                    hit("/customers/1", "Northwind Dental", "Subscriber"),
                    hit("/customers/2", "Noah Petersen", "(212) 555-0165"),
                ],
            },
            SearchGroup {
                label: "Invoices".into(),
                hits: vec![hit(
                    "/invoices/1",
                    "BL-2026-000131",
                    "Northwind Dental, $64.80",
                )],
            },
        ],
    }
}
