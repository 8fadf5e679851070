//! The pages on which an invoice is paid, credited or withdrawn: they show what changes before it is done, and work
//! without scripts.

use crate::support::{Answer, Firm, TestApp};

/// An admin in front of the page of one act.
struct Desk<'a> {
    app: &'a TestApp,
    path: String,
    cookie: String,
    csrf: String,
}

impl<'a> Desk<'a> {
    async fn new(app: &'a TestApp, firm: &Firm, invoice: &str) -> Self {
        let (cookie, csrf) = app.sign_in(&firm.admin).await;
        Self {
            app,
            path: format!("/invoices/{invoice}"),
            cookie,
            csrf,
        }
    }

    async fn get(&self, act: &str) -> String {
        let ask = self
            .app
            .get(&format!("{}{act}", self.path))
            .browser()
            .cookie(&self.cookie);
        let answer = ask.send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    }

    async fn post(&self, act: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = vec![("csrf", self.csrf.as_str())];
        all.extend(fields);
        let ask = self
            .app
            .post(&format!("{}/{act}", self.path))
            .browser()
            .cookie(&self.cookie);
        ask.form(&all).send().await
    }
}

/// The amounts of the table of what changes: before and after, row by row.
fn changes(html: &str) -> Vec<String> {
    let table = html
        .split("<tbody>")
        .nth(1)
        .unwrap()
        .split("</tbody>")
        .next()
        .unwrap();
    table
        .split("<tr>")
        .skip(1)
        .map(|row| {
            let values = row
                .split("value=\"")
                .skip(1)
                .map(|it| it.split('"').next().unwrap());
            values.collect::<Vec<_>>().join(" > ")
        })
        .collect()
}

/// What the confirmation sends along.
fn seen(html: &str) -> String {
    let field = html.split("name=\"seen\" value=\"").nth(1).unwrap();
    field.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn what_changes_is_shown_first_and_done_once() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let invoice = app.one_off(&firm, "30.00").await;
    let desk = Desk::new(&app, &firm, &invoice).await;
    for act in ["payment", "credit-note", "void"] {
        assert!(
            desk.get("")
                .await
                .contains(&format!("{}/{act}\"", desk.path)),
            "{act}"
        );
    }
    assert!(desk.get("/payment").await.contains("value=\"30.00\""));
    let typed = [
        ("channel", "check"),
        ("amount", "40.00"),
        ("reference", "1001"),
    ];
    let shown = desk.post("payment", &typed).await;
    assert_eq!(shown.status, 200);
    assert_eq!(
        changes(&shown.text),
        [
            "30.00 USD > 0.00 USD",
            "0.00 USD > 30.00 USD",
            "0.00 USD > 10.00 USD"
        ]
    );
    assert_eq!(app.count("select count(*) from payments").await, 0);
    let seen_then = seen(&shown.text);
    let confirmed = [typed.as_slice(), &[("seen", seen_then.as_str())]].concat();
    let done = desk.post("payment", &confirmed).await;
    assert_eq!(
        (done.status, done.header("location")),
        (303, desk.path.as_str())
    );
    // A second click is asked again, since the invoice is paid now.
    let again = desk.post("payment", &confirmed).await;
    assert_eq!(again.status, 422);
    assert!(again.text.contains("leaves nothing open"), "{}", again.text);
    assert_eq!(app.standings().await, ["1 paid 3000 0"]);
    let page = desk.get("").await;
    assert!(
        !page.contains(&format!("{}/payment\"", desk.path))
            && !page.contains(&format!("{}/void\"", desk.path))
    );
    // A credit note over the whole of it becomes credit; meanwhile somebody else gives a part of it back.
    let reason = [("reason", "late")];
    let shown = desk.post("credit-note", &reason).await;
    assert_eq!(
        changes(&shown.text)[1..],
        ["0.00 USD > 30.00 USD", "10.00 USD > 40.00 USD"]
    );
    let path = format!("/api/admin/invoices/{invoice}/credit-notes");
    app.posted(
        &firm,
        &path,
        &serde_json::json!({"reason": "x", "amount": "1.00"}),
    )
    .await
    .expect(201);
    let seen_then = seen(&shown.text);
    let changed = desk
        .post("credit-note", &[("reason", "late"), ("seen", &seen_then)])
        .await;
    assert_eq!(changed.status, 200);
    assert!(
        changed.text.contains("Something has changed meanwhile"),
        "{}",
        changed.text
    );
    let seen_now = seen(&changed.text);
    let done = desk
        .post("credit-note", &[("reason", "late"), ("seen", &seen_now)])
        .await;
    assert_eq!(done.status, 303, "{}", done.text);
    assert_eq!(app.standings().await, ["1 paid 3000 3000"]);
    // An invoice that nobody has paid is withdrawn.
    let other = app.one_off(&firm, "5.00").await;
    let desk = Desk {
        path: format!("/invoices/{other}"),
        ..desk
    };
    let shown = desk.post("void", &reason).await;
    assert_eq!(changes(&shown.text), ["5.00 USD > 0.00 USD"]);
    let seen_then = seen(&shown.text);
    let done = desk
        .post("void", &[("reason", "late"), ("seen", &seen_then)])
        .await;
    assert_eq!(done.status, 303, "{}", done.text);
    let page = desk.get("").await;
    assert!(
        page.contains("Withdrawn:") && page.contains(">late<"),
        "{page}"
    );
    assert_eq!(desk.post("void", &reason).await.status, 409);
    assert_eq!(
        app.texts("select action from audit_log where action in ('payment.recorded', 'credit_note.issued', 'invoice.voided') order by id").await,
        ["payment.recorded", "credit_note.issued", "credit_note.issued", "invoice.voided"]
    );
    app.assert_clean().await;
}

#[tokio::test]
async fn what_is_typed_wrong_is_said_beside_the_field() {
    let app = TestApp::quiet().await;
    let firm = app.firm_with_customer().await;
    let invoice = app.one_off(&firm, "30.00").await;
    let desk = Desk::new(&app, &firm, &invoice).await;
    for (act, fields, field) in [
        (
            "payment",
            [("amount", "ten"), ("reference", "")],
            "amount-problem",
        ),
        (
            "payment",
            [("amount", "-1"), ("reference", "")],
            "amount-problem",
        ),
        (
            "payment",
            [("amount", "1"), ("received_on", "2027-01-01")],
            "received_on-problem",
        ),
        (
            "credit-note",
            [("amount", "30.01"), ("reason", "x")],
            "amount-problem",
        ),
        (
            "credit-note",
            [("amount", "1"), ("reason", " ")],
            "reason-problem",
        ),
        ("void", [("amount", ""), ("reason", "")], "reason-problem"),
    ] {
        let answer = desk.post(act, &fields).await;
        assert_eq!(answer.status, 422, "{act} {fields:?}");
        assert!(
            answer.text.contains(&format!("id=\"{field}\"")),
            "{act} {fields:?}: {}",
            answer.text
        );
    }
    let member = app.member(&firm.acme).await;
    let (cookie, _) = app.sign_in(&member).await;
    let path = format!("/invoices/{invoice}/payment");
    assert_eq!(
        app.get(&path).browser().cookie(&cookie).send().await.status,
        403
    );
    let unknown = format!("/invoices/{invoice}/burn");
    assert_eq!(
        app.get(&unknown)
            .browser()
            .cookie(&desk.cookie)
            .send()
            .await
            .status,
        404
    );
}
