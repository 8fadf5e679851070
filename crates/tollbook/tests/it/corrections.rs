//! Corrections by people: shown in money first, done in open and closed periods, and undone.

use jiff::SignedDuration;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tollbook::Difference;
use tollbook_core::ids::{CallId, CustomerId};
use tollbook_providers::openphone::Surface;
use tollbook_providers::openphone::sandbox::ScriptedCall;
use uuid::Uuid;

use crate::support::{Answer, Firm, NewCall, NewUsage, Phones, TestApp, at, per_minute};

const PATH: &str = "/api/admin/corrections";
const NUMBER: &str = "+13035550100";

/// A firm with two customers who pay by the call: twelve and a half cents a minute.
pub(crate) struct Office {
    pub(crate) app: TestApp,
    pub(crate) firm: Firm,
    pub(crate) eli: CustomerId,
    integration: Uuid,
}

impl Office {
    pub(crate) async fn new() -> Self {
        let app = TestApp::quiet().await;
        let firm = app.firm_with_customer().await;
        let plan = per_minute("Calls", "0.125", &json!({"kind": "pay_per_call"}));
        let plan = app.plan(&firm.admin, &firm.acme, &plan).await;
        app.pay_per_call(&firm.acme, plan, at("2026-01-01T00:00:00Z"))
            .await;
        let eli = app.customer(&firm.acme, "Eli").await;
        let integration = app.integration(&firm.acme).await;
        Self {
            app,
            firm,
            eli,
            integration,
        }
    }

    /// A call of so many minutes that was taken for a customer's.
    pub(crate) async fn call(&self, customer: CustomerId, day: &str, minutes: i64) -> CallId {
        self.calls(customer, &[(day, minutes)]).await[0]
    }

    /// Calls of one customer that are rated together.
    async fn calls(&self, customer: CustomerId, days: &[(&str, i64)]) -> Vec<CallId> {
        let mut calls = Vec::new();
        for (day, minutes) in days {
            let time = at(&format!("2026-{day}T12:00:00Z"));
            let call = NewCall {
                customer: Some(customer),
                ..NewCall::answered(NUMBER, time, 60 * minutes)
            };
            let id = self
                .app
                .call(&self.firm.acme, self.integration, &call)
                .await;
            let usage = NewUsage {
                call: Some(id),
                ..NewUsage::call(customer, 60 * minutes, time)
            };
            self.app.record(&self.firm.acme, &[usage]).await;
            calls.push(id);
        }
        self.app.settle().await;
        calls
    }

    pub(crate) async fn correct(&self, body: &Value) -> Answer {
        let mut body = body.clone();
        body["reason"] = json!("wrong customer");
        let answer = self.app.posted(&self.firm, PATH, &body).await;
        self.app.settle().await;
        answer
    }

    /// What a correction would come to: for each customer the change of drafts, of what is owed, and of credit.
    async fn tried(&self, path: &str, body: &Value) -> Vec<String> {
        let mut body = body.clone();
        body["reason"] = json!("wrong customer");
        let path = format!("{path}?preview=true");
        let tried = self.app.posted(&self.firm, &path, &body).await.expect(200);
        let mut shown = Vec::new();
        for customer in tried["effect"].as_array().unwrap() {
            for what in ["totals", "owed", "credit"] {
                for it in customer[what].as_array().unwrap() {
                    shown.push(format!(
                        "{} {what} {} to {}",
                        customer["name"].as_str().unwrap(),
                        it["before"].as_str().unwrap(),
                        it["after"].as_str().unwrap()
                    ));
                }
            }
        }
        shown.sort();
        shown
    }

    pub(crate) async fn undo(&self, correction: &Value) -> Answer {
        let path = format!("{PATH}/{}/undo", correction["id"].as_str().unwrap());
        let body = json!({"reason": "it was right"});
        let answer = self.app.posted(&self.firm, &path, &body).await;
        self.app.settle().await;
        answer
    }

    pub(crate) async fn until(&self, time: &str) {
        self.app.advance(at(time).duration_since(self.app.now()));
        self.app.settle().await;
    }

    /// Each customer with what is charged in force, and the documents: finalized ones with what was credited, and drafts.
    async fn books(&self) -> Vec<String> {
        self.app
            .texts(
                "select concat_ws(', ', k.name || case when k.merged_into_id is not null then ' (merged)' else '' end,
                     (select 'charged ' || trim_scale(sum(c.amount)) from charges c where c.customer_id = k.id and c.kind <> 'not_charged'
                        and c.reverses_id is null and not exists (select from charges r where r.reverses_id = c.id)),
                     (select string_agg(format('%s %s less %s', i.number_seq, i.total_minor, i.credited_minor), ', ' order by i.number_seq)
                        from invoices i where i.customer_id = k.id and i.state <> 'draft'),
                     (select 'drafts ' || trim_scale(sum(c.amount)) from charges c join invoices i on i.id = c.invoice_id
                        where c.customer_id = k.id and i.state = 'draft' having sum(c.amount) <> 0))
                 from customers k order by k.name",
            )
            .await
    }

    /// Everything that is derived agrees. What tests write by themselves is not counted and has no legs.
    pub(crate) async fn assert_clean(&self) {
        let mut report = self.app.app.verify(|_| {}).await.unwrap();
        let of_tests = |it: &Difference| {
            ["usage_counters", "calls", "number_counters"].contains(&it.table.as_str())
                || it.what == "key_digest"
        };
        report.differences.retain(|it| !of_tests(it));
        assert!(report.differences.is_empty(), "{:#?}", report.differences);
    }
}

#[tokio::test]
async fn a_call_of_an_open_period_goes_to_another_and_comes_back() {
    let office = Office::new().await;
    let Office { app, firm, eli, .. } = &office;
    let call = office.call(firm.dana, "03-02", 4).await;
    office.call(*eli, "03-02", 2).await;
    let before = office.books().await;
    assert_eq!(
        before,
        [
            "Dana, charged 0.5, drafts 0.5",
            "Eli, charged 0.25, drafts 0.25"
        ]
    );
    let body = json!({"kind": "move_call", "callId": call, "customerId": eli});
    assert_eq!(
        office.tried(PATH, &body).await,
        ["Dana totals 0.50 to 0.00", "Eli totals 0.25 to 0.75"]
    );
    assert_eq!(office.books().await, before, "it was tried only");
    assert_eq!(app.count("select count(*) from corrections").await, 0);
    let done = office.correct(&body).await.expect(201);
    assert_eq!(
        (&done["kind"], &done["customerId"], &done["calls"]),
        (&json!("move_call"), &json!(eli), &json!(1))
    );
    assert!(done.get("effect").is_none() && done["creditNotes"] == json!([]));
    assert_eq!(
        office.books().await,
        ["Dana", "Eli, charged 0.75, drafts 0.75"]
    );
    assert_eq!(
        office.correct(&body).await.expect(409)["code"],
        "same_customer"
    );
    let path = format!("{PATH}/{}/undo", done["id"].as_str().unwrap());
    assert_eq!(
        office.tried(&path, &json!({})).await,
        ["Dana totals 0.00 to 0.50", "Eli totals 0.75 to 0.25"]
    );
    let undone = office.undo(&done).await.expect(201);
    assert_eq!(undone["undoesId"], done["id"]);
    assert_eq!(office.books().await, before);
    assert_eq!(
        office.undo(&done).await.expect(409)["code"],
        "already_undone"
    );
    assert_eq!(office.undo(&undone).await.expect(409)["code"], "is_undo");
    let list = app.read(firm, &format!("{PATH}?customerId={eli}")).await;
    let kinds: Vec<(&Value, &Value)> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["undoesId"], &it["undoneById"]))
        .collect();
    assert_eq!(
        kinds,
        [(&done["id"], &Value::Null), (&Value::Null, &undone["id"])]
    );
    let one = app
        .read(firm, &format!("{PATH}/{}", done["id"].as_str().unwrap()))
        .await;
    assert_eq!(one["reason"], "wrong customer");
    assert_eq!(
        app.texts("select action from audit_log where subject = 'correction' order by id")
            .await,
        ["correction.made", "correction.undone"]
    );
    office.assert_clean().await;
}

#[tokio::test]
async fn a_call_of_a_closed_period_is_given_back_and_charged_on_the_next_document() {
    let office = Office::new().await;
    let Office { app, firm, eli, .. } = &office;
    let days = [("02-03", 1), ("02-04", 1), ("02-05", 1)];
    let calls = office.calls(firm.dana, &days).await;
    // Three times twelve and a half cents are thirty-eight.
    assert_eq!(
        office.books().await,
        ["Dana, charged 0.375, 1 38 less 0", "Eli"]
    );
    let body = |call: &CallId| json!({"kind": "move_call", "callId": call, "customerId": eli});
    assert_eq!(
        office.tried(PATH, &body(&calls[0])).await,
        ["Dana owed 0.38 to 0.25", "Eli totals 0.00 to 0.13"]
    );
    assert_eq!(app.count("select count(*) from credit_notes").await, 0);
    let mut done = Vec::new();
    for (call, credited) in calls.iter().zip(["0.13", "0.12", "0.13"]) {
        let correction = office.correct(&body(call)).await.expect(201);
        assert_eq!(correction["creditNotes"][0]["amount"], credited);
        assert_eq!(
            correction["creditNotes"][0]["invoiceNumber"],
            "INV-2026-000001"
        );
        office.assert_clean().await;
        done.push(correction);
    }
    assert_eq!(
        office.books().await,
        [
            "Dana, 1 38 less 38",
            "Eli, charged 0.375, 2 13 less 0, drafts 0.25"
        ],
        "the first on a document of February, which nobody had made for Eli"
    );
    // On a day of its own each: nobody is surprised by a call of February on a document of March.
    assert_eq!(
        app.texts("select distinct line_group from charges where customer_id = (select id from customers where name = 'Eli') order by 1").await,
        ["calls/usage", "calls/usage@2026-02-04", "calls/usage@2026-02-05"]
    );
    office.until("2026-04-01T02:00:00Z").await;
    assert_eq!(
        office.books().await,
        [
            "Dana, 1 38 less 38",
            "Eli, charged 0.375, 2 13 less 0, 3 26 less 0"
        ],
        "each line is rounded for itself"
    );
    // It was Dana's after all: Eli has it back, and Dana pays with the next document.
    let undone = office.undo(&done[1]).await.expect(201);
    assert_eq!(undone["creditNotes"][0]["amount"], "0.13");
    assert_eq!(
        office.books().await,
        [
            "Dana, charged 0.125, 1 38 less 38, drafts 0.125",
            "Eli, charged 0.25, 2 13 less 0, 3 26 less 13"
        ]
    );
    office.assert_clean().await;
    office.until("2026-05-01T02:00:00Z").await;
    assert_eq!(
        office.books().await[0],
        "Dana, charged 0.125, 1 38 less 38, 4 13 less 0"
    );
    office.assert_clean().await;
}

#[tokio::test]
async fn no_more_is_given_back_than_is_left_of_a_line() {
    let office = Office::new().await;
    let Office { app, firm, eli, .. } = &office;
    app.change("update customers set tax_percent = 10 where name = 'Dana'")
        .await;
    let days = [("02-03", 8), ("02-04", 8)];
    let call = office.calls(firm.dana, &days).await[0];
    let invoice = app
        .texts("select id::text from invoices where state = 'finalized'")
        .await;
    let path = format!("/api/admin/invoices/{}/credit-notes", invoice[0]);
    let lines = json!({"reason": "kind", "lines": [{"position": 1, "amount": "1.40"}]});
    app.posted(firm, &path, &lines).await.expect(201);
    let body = json!({"kind": "move_call", "callId": call, "customerId": eli});
    let done = office.correct(&body).await.expect(201);
    // Sixty cents are left, and their tax.
    assert_eq!(done["creditNotes"][0]["amount"], "0.66");
    assert_eq!(
        app.texts("select format('%s %s', share_minor, given_minor) from correction_credits")
            .await,
        ["100 60"]
    );
    assert_eq!(app.standings().await, ["1 paid 0 220", "2 finalized 0 0"]);
    office.assert_clean().await;
}

#[tokio::test]
async fn what_is_not_billed_stays_used() {
    let office = Office::new().await;
    let Office { app, firm, .. } = &office;
    let closed = office.call(firm.dana, "02-03", 2).await;
    let open = office.call(firm.dana, "03-02", 4).await;
    assert_eq!(
        office.books().await[0],
        "Dana, charged 0.75, 1 25 less 0, drafts 0.5"
    );
    let used = app
        .count("select sum(quantity)::bigint from usage_events")
        .await;
    let (first, second) = (
        json!({"kind": "waive", "callId": closed}),
        json!({"kind": "waive", "callId": open}),
    );
    assert_eq!(
        office.tried(PATH, &first).await,
        ["Dana owed 0.25 to 0.00", "Dana totals 0.50 to 0.50"]
    );
    let given_back = office.correct(&first).await.expect(201);
    let taken_off = office.correct(&second).await.expect(201);
    assert_eq!(office.books().await[0], "Dana, 1 25 less 25");
    assert_eq!(
        office.correct(&second).await.expect(409)["code"],
        "already_waived"
    );
    assert_eq!(
        app.count("select sum(quantity)::bigint from usage_events")
            .await,
        used
    );
    // A late event of the same call is not billed either, and neither is it rated again by chance.
    let longer = NewUsage {
        call: Some(open),
        ..NewUsage::call(firm.dana, 60, at("2026-03-02T12:05:00Z"))
    };
    app.record(&firm.acme, &[longer]).await;
    app.queue_again(&firm.acme).await;
    app.settle().await;
    assert_eq!(office.books().await[0], "Dana, 1 25 less 25");
    office.assert_clean().await;
    // Wherever it goes, it is not billed.
    let body = json!({"kind": "move_call", "callId": open, "customerId": office.eli});
    let moved = office.correct(&body).await.expect(201);
    assert_eq!(office.books().await, ["Dana, 1 25 less 25", "Eli"]);
    office.undo(&moved).await.expect(201);
    office.undo(&taken_off).await.expect(201);
    assert_eq!(
        office.books().await[0],
        "Dana, charged 0.625, 1 25 less 25, drafts 0.625"
    );
    office.undo(&given_back).await.expect(201);
    assert_eq!(
        office.books().await[0],
        "Dana, charged 0.875, 1 25 less 25, drafts 0.875"
    );
    office.assert_clean().await;
    // What is of no call is named by itself.
    let other = NewUsage::call(firm.dana, 60, at("2026-03-02T13:00:00Z"));
    app.record(&firm.acme, std::slice::from_ref(&other)).await;
    app.settle().await;
    let waived = office
        .correct(&json!({"kind": "waive", "usageEventId": other.id}))
        .await;
    let waived = waived.expect(201);
    assert_eq!(
        office.books().await[0],
        "Dana, charged 0.875, 1 25 less 25, drafts 0.875"
    );
    office.undo(&waived).await.expect(201);
    assert_eq!(
        office.books().await[0],
        "Dana, charged 1, 1 25 less 25, drafts 1"
    );
    office.assert_clean().await;
}

/// Who has a number, from when to when.
const NUMBERS: &str = "select concat_ws(' ', k.name, to_char(nullif(n.starts_at, '-infinity') at time zone 'UTC', 'MM-DD'),
        'to ' || to_char(n.ends_at at time zone 'UTC', 'MM-DD'))
    from customer_numbers n join customers k on k.id = n.customer_id order by 1";

#[tokio::test]
async fn a_number_is_somebody_elses_since_a_day() {
    let office = Office::new().await;
    let Office { app, firm, eli, .. } = &office;
    let path = format!("/api/customers/{}/numbers", firm.dana);
    let number = json!({"phoneNumber": NUMBER});
    app.posted(firm, &path, &number).await.expect(201);
    let days = [("02-03", 2), ("02-20", 2), ("03-01", 2)];
    office.calls(firm.dana, &days).await;
    let before = office.books().await;
    assert_eq!(before[0], "Dana, charged 0.75, 1 50 less 0, drafts 0.25");
    let body = json!({"kind": "move_number", "phoneNumber": NUMBER, "customerId": eli, "since": "2026-02-10T00:00:00Z"});
    assert_eq!(
        office.tried(PATH, &body).await,
        [
            "Dana owed 0.50 to 0.25",
            "Dana totals 0.25 to 0.00",
            "Eli totals 0.00 to 0.50"
        ]
    );
    let done = office.correct(&body).await.expect(201);
    assert_eq!(done["calls"], 2);
    assert_eq!(
        office.books().await,
        [
            "Dana, charged 0.25, 1 50 less 25",
            "Eli, charged 0.5, 2 25 less 0, drafts 0.25"
        ]
    );
    assert_eq!(app.texts(NUMBERS).await, ["Dana to 02-10", "Eli 02-10"]);
    assert_eq!(
        office.correct(&body).await.expect(409)["code"],
        "same_customer"
    );
    let late = json!({"kind": "move_number", "phoneNumber": NUMBER, "customerId": firm.dana, "since": "2026-03-03T00:00:00Z"});
    assert_eq!(
        office.correct(&late).await.expect(422)["errors"][0]["field"],
        "since"
    );
    office.assert_clean().await;
    office.undo(&done).await.expect(201);
    assert_eq!(app.texts(NUMBERS).await, ["Dana"]);
    assert_eq!(
        office.books().await,
        [
            "Dana, charged 0.75, 1 50 less 25, drafts 0.5",
            "Eli, 2 25 less 25"
        ]
    );
    office.assert_clean().await;
}

#[tokio::test]
async fn two_customers_are_one() {
    let office = Office::new().await;
    let Office { app, firm, eli, .. } = &office;
    let path = format!("/api/customers/{}/numbers", firm.dana);
    app.posted(firm, &path, &json!({"phoneNumber": NUMBER}))
        .await
        .expect(201);
    let path = format!("/api/customers/{}/notes", firm.dana);
    app.posted(firm, &path, &json!({"text": "Calls on Mondays"}))
        .await
        .expect(201);
    office.call(firm.dana, "02-03", 4).await;
    let open = office.call(firm.dana, "03-01", 2).await;
    let body =
        json!({"kind": "merge_customers", "fromCustomerId": firm.dana, "intoCustomerId": eli});
    assert_eq!(
        office.tried(PATH, &body).await,
        ["Dana totals 0.25 to 0.00", "Eli totals 0.00 to 0.25"]
    );
    let done = office.correct(&body).await.expect(201);
    // What is final stays where it is, and is still paid there.
    let merged = [
        "Dana (merged), charged 0.5, 1 50 less 0",
        "Eli, charged 0.25, drafts 0.25",
    ];
    assert_eq!(office.books().await, merged);
    assert_eq!(app.texts(NUMBERS).await, ["Eli"]);
    assert_eq!(app.count("select count(*) from customer_notes n join customers k on k.id = n.customer_id where k.name = 'Eli'").await, 1);
    app.pay(firm, "0.50", &json!({})).await.expect(201);
    assert_eq!(app.standings().await, ["1 paid 50 0"]);
    assert_eq!(
        office
            .correct(&json!({"kind": "move_call", "callId": open, "customerId": firm.dana}))
            .await
            .expect(409)["code"],
        "merged"
    );
    assert_eq!(office.correct(&body).await.expect(409)["code"], "merged");
    office.assert_clean().await;
    office.undo(&done).await.expect(201);
    assert_eq!(
        office.books().await,
        ["Dana, charged 0.75, 1 50 less 0, drafts 0.25", "Eli"]
    );
    assert_eq!(app.texts(NUMBERS).await, ["Dana"]);
    office.assert_clean().await;
    // A contract is nothing that two have: it says what to do.
    let basic = per_minute("Basic", "0.10", &json!({"baseFee": "5"}));
    let basic = app.plan(&firm.admin, &firm.acme, &basic).await;
    app.subscribe(&firm.admin, &firm.acme, firm.dana, basic, "2026-03-01")
        .await;
    let refused = office.correct(&body).await.expect(409);
    assert_eq!(refused["code"], "has_subscription");
    let same = json!({"kind": "merge_customers", "fromCustomerId": eli, "intoCustomerId": eli});
    assert_eq!(
        office.correct(&same).await.expect(422)["errors"][0]["field"],
        "intoCustomerId"
    );
    // The other way round it can be done.
    let body =
        json!({"kind": "merge_customers", "fromCustomerId": eli, "intoCustomerId": firm.dana});
    office.correct(&body).await.expect(201);
    office.assert_clean().await;
}

#[tokio::test]
async fn goodwill_is_credit_until_it_is_taken_back() {
    let office = Office::new().await;
    let Office { app, firm, .. } = &office;
    let body =
        json!({"kind": "goodwill", "customerId": firm.dana, "amount": "5.00", "currency": "USD"});
    assert_eq!(
        office.tried(PATH, &body).await,
        ["Dana credit 0.00 to 5.00"]
    );
    let done = office.correct(&body).await.expect(201);
    assert_eq!(
        (&done["amount"], &done["currency"]),
        (&json!("5.00"), &json!("USD"))
    );
    assert_eq!(app.balances().await, ["customer_credit -500"]);
    office.assert_clean().await;
    let taken = office.undo(&done).await.expect(201);
    assert_eq!(taken["amount"], "-5.00");
    assert_eq!(app.balances().await, ["customer_credit 0"]);
    let again = office.correct(&body).await.expect(201);
    app.one_off(firm, "3.00").await;
    app.pay(firm, "3.00", &json!({"channel": "credit"}))
        .await
        .expect(201);
    assert_eq!(app.standings().await, ["1 paid 300 0"]);
    assert_eq!(
        office.undo(&again).await.expect(409)["code"],
        "credit_spent"
    );
    for amount in ["0", "-1", "1.005"] {
        let mut wrong = body.clone();
        wrong["amount"] = json!(amount);
        assert_eq!(
            office.correct(&wrong).await.expect(422)["errors"][0]["field"],
            "amount"
        );
    }
    office.assert_clean().await;
}

#[tokio::test]
async fn a_prospect_becomes_a_customer_and_one_again() {
    let office = Office::new().await;
    let Office { app, eli, .. } = &office;
    app.change("update customers set kind = 'prospect', name = '' where name = 'Eli'")
        .await;
    let body = json!({"kind": "name_prospect", "customerId": eli, "name": "Eli Brook"});
    let done = office.correct(&body).await.expect(201);
    let shown = "select concat_ws(' ', kind, name) from customers order by name";
    assert_eq!(
        app.texts(shown).await,
        ["customer Dana", "customer Eli Brook"]
    );
    assert_eq!(
        office.correct(&body).await.expect(409)["code"],
        "not_a_prospect"
    );
    office.undo(&done).await.expect(201);
    assert_eq!(app.texts(shown).await, ["prospect ", "customer Dana"]);
}

#[tokio::test]
async fn an_admin_corrects_a_call_by_hand_and_sees_the_money_first() {
    let office = Office::new().await;
    let Office { app, firm, eli, .. } = &office;
    let call = office.call(firm.dana, "03-02", 4).await;
    let (cookie, csrf) = app.sign_in(&firm.admin).await;
    let page = async |path: &str| {
        let ask = app.get(path).browser().cookie(&cookie);
        ask.send().await
    };
    let shown = page(&format!("/calls/{call}")).await;
    for act in ["move", "waive"] {
        assert!(
            shown.text.contains(&format!("/calls/{call}/{act}")),
            "{}",
            shown.text
        );
    }
    let path = format!("/calls/{call}/move");
    let found = page(&format!("{path}?q=eli")).await;
    assert_eq!(found.status, 200);
    assert!(
        found.text.contains(&format!("value=\"{eli}\""))
            && !found.text.contains(&firm.dana.to_string())
    );
    let send = async |path: &str, fields: &[(&str, &str)]| {
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        app.post(path)
            .browser()
            .cookie(&cookie)
            .form(&all)
            .send()
            .await
    };
    let missing = send(&path, &[("reason", "")]).await;
    assert_eq!(missing.status, 422);
    assert!(missing.text.contains("customer-problem") && missing.text.contains("reason-problem"));
    let to = eli.to_string();
    let form = [
        ("q", "eli"),
        ("customer", to.as_str()),
        ("reason", "said so"),
    ];
    let tried = send(&path, &form).await;
    assert_eq!(tried.status, 200, "{}", tried.text);
    assert!(tried.text.contains("Next invoices of Eli") && tried.text.contains("0.50"));
    let seen = tried.text.split("name=\"seen\" value=\"").nth(1).unwrap();
    let seen = seen.split('"').next().unwrap().to_owned();
    assert_eq!(app.count("select count(*) from corrections").await, 0);
    let confirmed = [form[0], form[1], form[2], ("seen", seen.as_str())];
    // Somebody else was quicker: what was seen is not what it comes to any more.
    office.call(firm.dana, "03-02", 2).await;
    let changed = send(&path, &confirmed).await;
    assert!(
        changed.text.contains("Something has changed meanwhile"),
        "{}",
        changed.text
    );
    assert_eq!(app.count("select count(*) from corrections").await, 0);
    let seen = changed.text.split("name=\"seen\" value=\"").nth(1).unwrap();
    let seen = seen.split('"').next().unwrap().to_owned();
    let confirmed = [form[0], form[1], form[2], ("seen", seen.as_str())];
    let done = send(&path, &confirmed).await;
    assert_eq!(
        (done.status, done.header("location")),
        (303, format!("/calls/{call}").as_str())
    );
    assert_eq!(
        office.books().await,
        [
            "Dana, charged 0.25, drafts 0.25",
            "Eli, charged 0.5, drafts 0.5"
        ]
    );
    let path = format!("/calls/{call}/waive");
    let tried = send(&path, &[("reason", "a test of ours")]).await;
    let seen = tried.text.split("name=\"seen\" value=\"").nth(1).unwrap();
    let seen = seen.split('"').next().unwrap().to_owned();
    let done = send(&path, &[("reason", "a test of ours"), ("seen", &seen)]).await;
    assert_eq!(done.status, 303, "{}", done.text);
    let shown = page(&format!("/calls/{call}")).await;
    for said in ["Not billed:", "a test of ours", "/bill"] {
        assert!(shown.text.contains(said), "{said} in {}", shown.text);
    }
    let refused = send(&path, &[("reason", "again")]).await;
    assert_eq!(refused.status, 409);
    let bill = format!("/calls/{call}/bill");
    let tried = send(&bill, &[("reason", "not ours")]).await;
    let seen = tried.text.split("name=\"seen\" value=\"").nth(1).unwrap();
    let seen = seen.split('"').next().unwrap().to_owned();
    send(&bill, &[("reason", "not ours"), ("seen", &seen)]).await;
    assert_eq!(office.books().await[1], "Eli, charged 0.5, drafts 0.5");
    let member = app.member(&firm.acme).await;
    let (theirs, _) = app.sign_in(&member).await;
    assert_eq!(
        app.get(&path).browser().cookie(&theirs).send().await.status,
        403
    );
    office.assert_clean().await;
}

#[tokio::test]
async fn the_same_request_acts_once_and_bad_ones_name_the_field() {
    let office = Office::new().await;
    let Office { app, firm, eli, .. } = &office;
    let call = office.call(firm.dana, "03-02", 4).await;
    let body = json!({"kind": "move_call", "callId": call, "customerId": eli, "reason": "x"});
    let post = async |body: &Value| {
        let ask = app.post(PATH).user(&firm.admin).organization(&firm.acme);
        ask.header("idempotency-key", "once")
            .json(body)
            .send()
            .await
    };
    let first = post(&body).await.expect(201);
    assert_eq!(post(&body).await.expect(201), first);
    assert_eq!(app.count("select count(*) from corrections").await, 1);
    for (wrong, said) in [
        (
            json!({"kind": "move_call", "customerId": eli, "reason": "x"}),
            "callId",
        ),
        (json!({"kind": "steal", "reason": "x"}), "kind"),
        (json!({"kind": "waive", "reason": "x"}), "callId"),
        (json!({"kind": "waive", "callId": call}), "reason"),
        (
            json!({"kind": "move_number", "phoneNumber": "12", "customerId": eli, "reason": "x"}),
            "phoneNumber",
        ),
    ] {
        let answer = app.posted(firm, PATH, &wrong).await;
        assert!([400, 422].contains(&answer.status), "{}", answer.text);
        assert!(answer.text.contains(said), "{said} in {}", answer.text);
    }
    let nobody = CustomerId::from(Uuid::now_v7());
    for (unknown, said) in [
        (
            json!({"kind": "move_call", "callId": call, "customerId": nobody}),
            "customer",
        ),
        (
            json!({"kind": "move_call", "callId": Uuid::now_v7(), "customerId": eli}),
            "call",
        ),
        (
            json!({"kind": "waive", "usageEventId": Uuid::now_v7()}),
            "usage event",
        ),
    ] {
        let answer = office.correct(&unknown).await;
        assert_eq!(answer.status, 404, "{}", answer.text);
        assert!(answer.text.contains(said), "{}", answer.text);
    }
    // Nothing of another organization is there.
    let (foreign, stranger) = app.firm().await;
    let theirs = app.customer(&foreign, "Theirs").await;
    let ask = app.post(PATH).user(&stranger).organization(&foreign);
    let body = json!({"kind": "move_call", "callId": call, "customerId": theirs, "reason": "x"});
    ask.json(&body).send().await.expect(404);
    let path = format!("{PATH}/{}/undo", first["id"].as_str().unwrap());
    let ask = app.post(&path).user(&stranger).organization(&foreign);
    ask.json(&json!({"reason": "x"})).send().await.expect(404);
}

#[tokio::test]
async fn what_was_priced_by_hand_is_not_corrected_so() {
    let office = Office::new().await;
    let Office { app, firm, .. } = &office;
    let body = json!({"customerId": firm.dana, "usageType": "API_REQUEST", "quantity": "2", "unitPrice": "3.00", "description": "Work"});
    let made = app.posted(firm, "/api/admin/usage-charges", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let usage = app.texts("select id::text from usage_events").await;
    let waive = json!({"kind": "waive", "usageEventId": usage[0]});
    assert_eq!(
        office.correct(&waive).await.expect(409)["code"],
        "priced_by_hand"
    );
}

#[tokio::test]
async fn what_comes_late_does_not_undo_what_people_said() {
    const LINE: &str = "+12125550101";
    let app = TestApp::start().await;
    let firm = app.firm_with_customer().await;
    app.sell_per_call(&firm.acme).await;
    let eli = app.customer(&firm.acme, "Eli").await;
    let phones = Phones::start(&app).await;
    phones.workspace("acme", &[LINE]);
    phones
        .connect_straight(&app, &firm.acme, "acme", Surface::V2026)
        .await;
    let path = format!("/api/customers/{}/numbers", firm.dana);
    app.posted(&firm, &path, &json!({"phoneNumber": NUMBER}))
        .await
        .expect(201);
    let call = ScriptedCall {
        is_recorded: true,
        ..ScriptedCall::answered(NUMBER, LINE, app.now(), 60)
    };
    phones.sandbox.play(&call).unwrap();
    phones.pass(&app, 4).await;
    let settle = async || {
        let waiting = "select (select count(*) from inbox_queue) + (select count(*) from rating_queue) + (select count(*) from jobs)";
        app.eventually("all is rated", async || {
            app.app.settle().await.unwrap();
            app.count(waiting).await == 0
        })
        .await;
    };
    settle().await;
    let used = "select concat_ws(' ', k.name, (select string_agg(m.meter || '=' || m.quantity, ',' order by m.meter) from (
                select u.meter, trim_scale(sum(u.quantity)) as quantity from usage_events u where u.customer_id = k.id
                group by u.meter having sum(u.quantity) <> 0) m),
             (select trim_scale(sum(c.amount)) from charges c where c.customer_id = k.id having sum(c.amount) <> 0))
         from customers k order by 1";
    let all = "CALL_DURATION_SECONDS=60,CALL_RECEIVED=1,recording=1 1.95";
    assert_eq!(app.texts(used).await, [format!("Dana {all}"), "Eli".into()]);
    let counters = app
        .texts("select concat_ws(' ', meter, quantity) from usage_counters order by 1")
        .await;
    let call = app.texts("select id::text from calls").await;
    let correct = async |body: Value| {
        let done = app.posted(&firm, PATH, &body).await.expect(201);
        settle().await;
        done
    };
    correct(json!({"kind": "move_call", "callId": call[0], "customerId": eli, "reason": "x"}))
        .await;
    let moved = ["Dana".to_owned(), format!("Eli {all}")];
    assert_eq!(app.texts(used).await, moved);
    let hear_again = async || {
        app.change("insert into inbox_queue (lane, inbox_id, received_at) select 1, id, received_at from inbox").await;
        app.app.wake.inbox.notify_one();
        settle().await;
    };
    hear_again().await;
    assert_eq!(app.texts(used).await, moved);
    assert_eq!(
        app.texts("select concat_ws(' ', meter, quantity) from usage_counters order by 1")
            .await,
        counters
    );
    let waived = correct(json!({"kind": "waive", "callId": call[0], "reason": "x"})).await;
    hear_again().await;
    let free = format!("Eli {}", all.trim_end_matches(" 1.95"));
    assert_eq!(app.texts(used).await, ["Dana".to_owned(), free]);
    app.assert_clean().await;
    let path = format!("{PATH}/{}/undo", waived["id"].as_str().unwrap());
    app.posted(&firm, &path, &json!({"reason": "x"}))
        .await
        .expect(201);
    settle().await;
    hear_again().await;
    assert_eq!(app.texts(used).await, moved);
    app.assert_clean().await;
}

/// Writes as nobody may.
async fn corrupt(app: &TestApp, statement: &str) {
    let mut owner = PgConnection::connect(app.superuser_url()).await.unwrap();
    let statement = format!("set session_replication_role = replica; {statement}");
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut owner)
        .await
        .unwrap();
}

#[tokio::test]
async fn verify_names_what_does_not_follow_and_the_database_refuses_changes() {
    let office = Office::new().await;
    let Office { app, firm, eli, .. } = &office;
    let days = [("02-03", 8), ("02-04", 8), ("03-02", 2)];
    let calls = office.calls(firm.dana, &days).await;
    let (call, free) = (calls[0], calls[2]);
    office
        .correct(&json!({"kind": "move_call", "callId": call, "customerId": eli}))
        .await
        .expect(201);
    office
        .correct(&json!({"kind": "waive", "callId": free}))
        .await
        .expect(201);
    let goodwill =
        json!({"kind": "goodwill", "customerId": eli, "amount": "5.00", "currency": "USD"});
    office.correct(&goodwill).await.expect(201);
    office.assert_clean().await;
    for (wrong, right, said) in [
        (
            "update correction_credits set share_minor = 101",
            "update correction_credits set share_minor = 100",
            "what corrections took off the line",
        ),
        (
            "update correction_credits set given_minor = 99",
            "update correction_credits set given_minor = 100",
            "credited by corrections",
        ),
        (
            "create table kept as select * from usage_waivers; delete from usage_waivers",
            "insert into usage_waivers select * from kept",
            "charges in force of the customer",
        ),
        (
            "update corrections set amount_minor = 501 where kind = 'goodwill'",
            "update corrections set amount_minor = 500 where kind = 'goodwill'",
            "credit of customer",
        ),
    ] {
        corrupt(app, wrong).await;
        let report = app.app.verify(|_| {}).await.unwrap();
        let found = report
            .differences
            .iter()
            .any(|it| it.what.starts_with(said));
        assert!(found, "{said} in {:#?}", report.differences);
        corrupt(app, right).await;
        office.assert_clean().await;
    }
    for (statement, constraint) in [
        (
            "update corrections set reason = 'y'",
            "corrections_append_only",
        ),
        (
            "delete from correction_items",
            "correction_items_append_only",
        ),
        (
            "delete from correction_payers",
            "correction_payers_append_only",
        ),
        (
            "update correction_credits set share_minor = 1",
            "correction_credits_append_only",
        ),
        (
            "insert into charges select (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'invoice_id', null, 'revision', 9))).* from charges c where reverses_id is null and kind = 'usage' limit 1",
            "charges_invoice_check",
        ),
        (
            "insert into usage_waivers (organization_id, id, correction_id, call_id) select organization_id, gen_random_uuid(), correction_id, call_id from usage_waivers where call_id is not null",
            "usage_waivers_call_id_key",
        ),
    ] {
        assert_eq!(
            app.refusal(statement.to_owned()).await,
            constraint,
            "{statement}"
        );
    }
    app.advance(SignedDuration::from_hours(31 * 24));
    app.settle().await;
    office.assert_clean().await;
}
