//! Moving in: a book comes in as a whole or not at all, once, and goes back as if it had never been; from then on it is
//! all as if it had always been here.

use jiff::SignedDuration;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tollbook_core::ids::CustomerId;

use crate::support::{Answer, NewUsage, Organization, TestApp, User, at, per_minute};

const BOOK: &str = "/api/admin/imports/book";

/// A firm that sells a plan with a base fee and a hundred minutes.
struct Firm {
    app: TestApp,
    acme: Organization,
    admin: User,
}

impl Firm {
    async fn new() -> Self {
        let app = TestApp::quiet().await;
        let (acme, admin) = app.firm().await;
        let more = json!({"code": "team", "baseFee": "30", "allowances": [{"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": 6000}]});
        app.plan(&admin, &acme, &per_minute("Team", "0.10", &more))
            .await;
        app.sell_minutes(&admin, &acme).await;
        Self { app, acme, admin }
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let ask = self.app.post(path).user(&self.admin);
        ask.organization(&self.acme).json(body).send().await
    }

    async fn get(&self, path: &str) -> Value {
        let ask = self.app.get(path).user(&self.admin);
        ask.organization(&self.acme).send().await.expect(200)
    }

    async fn bring(&self, book: &Value) -> Value {
        self.post(BOOK, book).await.expect(201)
    }

    async fn undo(&self, brought: &Value) -> Answer {
        let path = format!(
            "/api/admin/imports/{}/undo",
            brought["id"].as_str().unwrap()
        );
        self.post(&path, &json!({})).await
    }

    async fn customer(&self, key: &str) -> CustomerId {
        let mut tx = self.app.platform().await;
        let id: uuid::Uuid = sqlx::query_scalar("select id from customers where external_key = $1")
            .bind(key)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        id.into()
    }

    /// Number, state, total and what is paid of each invoice of a customer.
    async fn invoices(&self, customer: CustomerId) -> Vec<String> {
        let path = format!("/api/admin/invoices?customerId={customer}");
        let list = self.get(&path).await;
        let line = |it: &Value| {
            ["number", "status", "total", "paid"]
                .map(|field| it[field].as_str().unwrap_or("-").to_owned())
                .join(" ")
        };
        let mut lines: Vec<String> = list["data"].as_array().unwrap().iter().map(line).collect();
        lines.sort();
        lines
    }

    /// Every row of every table, but what is written down of deeds.
    async fn rows(&self) -> Vec<String> {
        let mut owner = PgConnection::connect(self.app.superuser_url())
            .await
            .unwrap();
        let tables: Vec<String> = sqlx::query_scalar(
            "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
                 and c.relname not in ('_sqlx_migrations', 'audit_log', 'imports', 'live_events', 'jobs', 'schedules', 'sessions', 'idempotency_keys')
             order by 1",
        )
        .fetch_all(&mut owner)
        .await
        .unwrap();
        let mut all = Vec::new();
        for table in tables {
            let query = format!("select t::text from {table} t order by 1");
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query))
                .fetch_all(&mut owner)
                .await
                .unwrap();
            all.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
        }
        all
    }

    async fn talk(&self, customer: CustomerId, minutes: i64, time: &str) {
        let usage = NewUsage::call(customer, minutes * 60, at(time));
        self.app.record(&self.acme, &[usage]).await;
        self.app.settle().await;
    }
}

/// The example of the documentation.
fn example() -> Value {
    let text = include_str!("../../../../docs/moving-in.md");
    let (_, rest) = text.split_once("```json\n").unwrap();
    let (book, _) = rest.split_once("```").unwrap();
    serde_json::from_str(book).unwrap()
}

fn book(customers: &Value) -> Value {
    json!({"format": "tollbook.book/1", "customers": customers})
}

#[tokio::test]
async fn a_book_comes_in_once_and_the_first_invoice_is_right_to_the_cent() {
    let firm = Firm::new().await;
    let before = firm.rows().await;
    let preview = format!("{BOOK}?preview=true");
    let would = firm.post(&preview, &example()).await.expect(200);
    assert_eq!(
        (&would["isPreview"], &would["id"], &would["customers"]),
        (&json!(true), &Value::Null, &json!(2))
    );
    assert_eq!(firm.rows().await, before, "a preview changes nothing");
    let brought = firm.bring(&example()).await;
    let counts = [
        "customers",
        "subscriptions",
        "invoices",
        "credits",
        "lots",
        "unchanged",
    ];
    assert_eq!(
        counts.map(|it| brought[it].as_u64().unwrap()),
        [2, 1, 1, 1, 2, 0]
    );
    assert_eq!(
        (
            &brought["sums"],
            &would["sums"],
            &brought["nextInvoiceNumber"]
        ),
        (
            &json!([{"currency": "USD", "open": "50.00", "credit": "12.00", "prepaid": "25.00"}]),
            &brought["sums"],
            &json!("INV-2026-000124")
        )
    );
    firm.app.assert_clean().await;
    // The same again.
    let after = firm.rows().await;
    let again = firm.post(BOOK, &example()).await.expect(200);
    assert_eq!(
        (&again["id"], &again["unchanged"], &again["differs"]),
        (&Value::Null, &json!(8), &json!([]))
    );
    assert_eq!(firm.rows().await, after, "the same book changes nothing");
    // Of 6,000 seconds 5,400 are used: of a quarter of an hour, five minutes cost ten cents each.
    let dana = firm.customer("C-1001").await;
    firm.talk(dana, 15, "2026-03-02T10:00:00Z").await;
    firm.app.advance(SignedDuration::from_hours(24 * 14));
    firm.app.settle().await;
    // The fee of the next period, not that of this one: 30.00 + 0.50, and ten percent.
    assert_eq!(
        firm.invoices(dana).await,
        [
            "A-17 finalized 118.00 68.00",
            "INV-2026-000124 finalized 33.55 0.00"
        ]
    );
    firm.app.assert_clean().await;
    let deeds = "select action from audit_log where subject = 'import'";
    assert_eq!(firm.app.texts(deeds).await, ["book.imported"]);
}

#[tokio::test]
async fn an_opening_invoice_is_paid_and_stated_and_credit_and_wallet_pay() {
    let firm = Firm::new().await;
    firm.bring(&example()).await;
    let (dana, bob) = (firm.customer("C-1001").await, firm.customer("C-1002").await);
    let statement = async |customer: CustomerId| {
        let path =
            format!("/api/admin/statement?customerId={customer}&from=2026-03-01&to=2026-03-31");
        let all = firm.get(&path).await;
        let line = |it: &Value| {
            ["kind", "number", "amount", "balance"]
                .map(|field| it[field].as_str().unwrap_or("-").to_owned())
                .join(" ")
        };
        let lines = all["data"].as_array().unwrap().iter().map(line);
        lines.collect::<Vec<String>>()
    };
    assert_eq!(statement(dana).await, ["opening A-17 50.00 50.00"]);
    assert_eq!(statement(bob).await, ["opening - -12.00 -12.00"]);
    let id = firm
        .app
        .texts("select id::text from invoices where kind = 'opening'")
        .await;
    for (act, body) in [
        ("void", json!({"reason": "twice"})),
        ("credit-notes", json!({"reason": "late"})),
    ] {
        let path = format!("/api/admin/invoices/{}/{act}", id[0]);
        let refused = firm.post(&path, &body).await.expect(409);
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("another system"), "{detail}");
    }
    let pay = json!({"customerId": dana, "channel": "check", "amount": "60.00"});
    firm.post("/api/admin/payments", &pay).await.expect(201);
    assert_eq!(firm.invoices(dana).await, ["A-17 paid 118.00 118.00"]);
    assert_eq!(
        statement(dana).await,
        ["opening A-17 50.00 50.00", "payment - -60.00 -10.00"]
    );
    firm.app.assert_clean().await;
    // The credit that expires is drawn first.
    firm.talk(bob, 30, "2026-03-02T10:00:00Z").await;
    let lots = "select format('%s %s', coalesce(expires_at::date::text, 'never'), trim_scale(amount - used)) from wallet_lots order by amount";
    assert_eq!(firm.app.texts(lots).await, ["never 5", "2026-12-31 17"]);
    firm.bring(&book(
        &json!([{"key": "C-1", "credit": [{"currency": "USD", "amount": "12.00"}]}]),
    ))
    .await;
    let ann = firm.customer("C-1").await;
    let credit = json!({"customerId": ann, "items": [{"description": "Work", "quantity": 1, "unitPrice": "7.00"}],
        "billingPeriodStart": "2026-02-01", "billingPeriodEnd": "2026-02-28"});
    firm.post("/api/admin/invoices", &credit).await.expect(201);
    let pay = json!({"customerId": ann, "channel": "credit", "amount": "7.00"});
    firm.post("/api/admin/payments", &pay).await.expect(201);
    assert_eq!(
        firm.app.texts("select credit_minor::text from ledger_accounts where kind = 'customer_credit' order by 1").await,
        ["1000", "1200", "500"]
    );
    firm.app.assert_clean().await;
}

#[tokio::test]
async fn everything_wrong_with_a_book_is_told_and_nothing_is_written() {
    let firm = Firm::new().await;
    let before = firm.rows().await;
    let refused = async |book: &Value| {
        let answer = firm.post(BOOK, book).await.expect(422);
        let fields = answer["errors"].as_array().unwrap().iter();
        fields
            .map(|it| it["field"].as_str().unwrap().to_owned())
            .collect::<Vec<String>>()
    };
    let form = book(
        &json!([{"key": "a", "numbers": ["12"], "invoices": [{"number": "1"}]}, {"key": "a"}]),
    );
    assert_eq!(
        refused(&form).await,
        [
            "customers[0].numbers[0]",
            "customers[0].invoices[0].issuedOn",
            "customers[0].invoices[0].dueOn",
            "customers[0].invoices[0].currency",
            "customers[0].invoices[0].total",
            "customers[0].invoices[0].open",
            "customers[1].key",
        ]
    );
    let subscription = |plan: &str, starts: &str, ends: &str, used: i64| {
        json!({"plan": plan, "startedOn": "2024-05-15", "anchorOn": "2024-05-15", "periodStartsOn": starts, "periodEndsOn": ends,
            "used": [{"allowance": "time", "quantity": used}]})
    };
    let invoice = |number: &str, issued: &str| json!({"number": number, "issuedOn": issued, "dueOn": "2026-04-01", "currency": "USD", "total": 5, "open": 5});
    let mut facts = book(&json!([
        {"key": "a", "email": "nobody", "zone": "Mars/Base", "tax": {"percent": "101"}, "contacts": [{"name": "Ann", "email": "ann"}]},
        {"key": "b", "subscription": subscription("none", "2026-02-15", "2026-03-15", 0)},
        {"key": "c", "subscription": subscription("team", "2026-02-14", "2026-03-15", 0)},
        {"key": "d", "subscription": subscription("team", "2026-02-15", "2026-03-16", 0)},
        {"key": "e", "invoices": [invoice("INV-2026-000124", "2026-02-01"), invoice("INV-2026-000123", "2026-03-03")],
         "wallet": [{"currency": "USD", "amount": 1, "expiresOn": "2026-03-02"}]},
    ]));
    facts["nextInvoiceNumber"] = json!("INV-2026-000124");
    assert_eq!(
        refused(&facts).await,
        [
            "customers[0].email",
            "customers[0].zone",
            "customers[0].tax.percent",
            "customers[0].contacts[0].email",
            "customers[1].subscription.plan",
            "customers[2].subscription.periodStartsOn",
            "customers[3].subscription.periodEndsOn",
            "customers[4].invoices[0].number",
            "customers[4].invoices[1].issuedOn",
            "customers[4].wallet[0].expiresOn",
        ]
    );
    facts["nextInvoiceNumber"] = json!("INV-2025-000124");
    assert_eq!(refused(&facts).await[0], "nextInvoiceNumber");
    let too_much = book(
        &json!([{"key": "a", "subscription": subscription("team", "2026-02-15", "2026-03-15", 6001)}]),
    );
    assert_eq!(
        refused(&too_much).await,
        ["customers[0].subscription.used[0].quantity"]
    );
    let malformed = firm
        .app
        .post(BOOK)
        .user(&firm.admin)
        .organization(&firm.acme);
    malformed
        .body("application/json", "{")
        .send()
        .await
        .expect(422);
    assert_eq!(firm.rows().await, before);
}

#[tokio::test]
async fn a_book_only_adds_and_says_where_it_differs() {
    let firm = Firm::new().await;
    firm.app.customer(&firm.acme, "Zoe").await;
    firm.app
        .change("update customers set external_key = 'z' where name = 'Zoe'")
        .await;
    firm.bring(&example()).await;
    let mut changed = example();
    changed["customers"][0]["name"] = json!("Dana's Cakes");
    changed["customers"][0]["invoices"][0]["open"] = json!("40.00");
    changed["customers"][1]["wallet"][1]["expiresOn"] = json!("2027-01-01");
    let more = json!({"key": "C-1003", "numbers": ["+12024561111"]});
    let known = json!({"key": "z", "credit": [{"currency": "USD", "amount": "3.00"}]});
    changed["customers"]
        .as_array_mut()
        .unwrap()
        .extend([more, known]);
    let brought = firm.bring(&changed).await;
    let paths = |remarks: &Value| {
        let remarks = remarks.as_array().unwrap().iter();
        remarks
            .map(|it| it["path"].as_str().unwrap().to_owned())
            .collect::<Vec<String>>()
    };
    assert_eq!(
        paths(&brought["differs"]),
        [
            "customers[0]",
            "customers[0].invoices[0]",
            "customers[1].wallet[1]",
            "customers[3]"
        ]
    );
    assert!(
        paths(&brought["notes"]).is_empty(),
        "its number is in the book"
    );
    assert_eq!(
        (&brought["customers"], &brought["credits"], &brought["lots"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let names = "select name from customers where external_key is not null order by external_key";
    assert_eq!(
        firm.app.texts(names).await,
        ["Dana's Bakery", "Bob Ortiz", "", "Zoe"]
    );
    firm.app.assert_clean().await;
    let list = firm.get("/api/admin/imports").await;
    assert_eq!(
        (
            &list["data"][0]["id"],
            &list["data"][0]["credits"],
            &list["data"][1]["customers"]
        ),
        (&brought["id"], &json!(1), &json!(2))
    );
    // It comes too late to say where numbers go on.
    let taken = book(&json!([{"key": "C-1004", "numbers": ["+12024561111"]}]));
    let noted = firm.bring(&taken).await;
    assert_eq!(paths(&noted["notes"]), ["customers[0].numbers[0]"]);
}

#[tokio::test]
async fn an_import_goes_back_as_if_it_had_never_been() {
    let firm = Firm::new().await;
    firm.app.customer(&firm.acme, "Zoe").await;
    firm.app
        .change("update customers set external_key = 'z' where name = 'Zoe'")
        .await;
    let before = firm.rows().await;
    let mut all = example();
    // A period that ends within a day: the next one is made at once, with its fee on a draft.
    all["customers"][1]["subscription"] = json!({"plan": "team", "startedOn": "2025-03-03", "anchorOn": "2025-03-03",
        "periodStartsOn": "2026-02-03", "periodEndsOn": "2026-03-03"});
    all["customers"][1]["wallet"] = json!([]);
    let known = json!({"key": "z", "credit": [{"currency": "USD", "amount": "3.00"}]});
    all["customers"].as_array_mut().unwrap().push(known);
    let first = firm.bring(&all).await;
    assert_eq!(firm.app.count("select count(*) from charges").await, 1);
    firm.app.assert_clean().await;
    let second = firm.bring(&book(&json!([{"key": "later"}]))).await;
    assert_eq!(firm.undo(&first).await.expect(409)["code"], "not_last");
    firm.undo(&second).await.expect(200);
    let undone = firm.undo(&first).await.expect(200);
    assert_eq!(undone["customers"], 0);
    assert!(undone["undoneAt"].is_string());
    assert_eq!(firm.rows().await, before);
    assert_eq!(
        firm.undo(&first).await.expect(409)["code"],
        "already_undone"
    );
    firm.app.assert_clean().await;
    // It may come in anew.
    firm.bring(&all).await;
    firm.app.assert_clean().await;
    let (other, stranger) = firm.app.firm().await;
    let path = format!("/api/admin/imports/{}/undo", first["id"].as_str().unwrap());
    let ask = firm.app.post(&path).user(&stranger).organization(&other);
    ask.json(&json!({})).send().await.expect(404);
}

#[tokio::test]
async fn what_is_used_or_closed_does_not_go_back() {
    let firm = Firm::new().await;
    let brought = firm.bring(&example()).await;
    let dana = firm.customer("C-1001").await;
    let pay = json!({"customerId": dana, "channel": "check", "amount": "10.00"});
    firm.post("/api/admin/payments", &pay).await.expect(201);
    let before = firm.rows().await;
    assert_eq!(
        firm.undo(&brought).await.expect(409)["code"],
        "import_in_use"
    );
    assert_eq!(firm.rows().await, before);
    let used = firm
        .bring(&book(&json!([{"key": "used", "subscription": {"plan": "team", "startedOn": "2026-02-15",
            "anchorOn": "2026-02-15", "periodStartsOn": "2026-02-15", "periodEndsOn": "2026-03-15"}}])))
        .await;
    let customer = firm.customer("used").await;
    firm.talk(customer, 1, "2026-03-02T10:00:00Z").await;
    assert_eq!(firm.undo(&used).await.expect(409)["code"], "import_in_use");
    let last = firm.bring(&book(&json!([{"key": "last"}]))).await;
    let body = json!({"customerId": dana, "items": [{"description": "Work", "quantity": 1, "unitPrice": "7.00"}],
        "billingPeriodStart": "2026-02-01", "billingPeriodEnd": "2026-02-28"});
    firm.post("/api/admin/invoices", &body).await.expect(201);
    assert_eq!(
        firm.undo(&last).await.expect(409)["code"],
        "finalized_since"
    );
    firm.app.assert_clean().await;
    // Nothing of it goes in another way, whoever asks.
    for (statement, constraint) in [
        ("delete from customers", "customers_append_only"),
        ("delete from transfers", "transfers_append_only"),
        (
            "delete from wallet_movements",
            "wallet_movements_append_only",
        ),
        ("delete from import_rows", "import_rows_append_only"),
        (
            "update import_rows set amount_minor = 1",
            "import_rows_append_only",
        ),
        ("delete from imports", "imports_immutable"),
        ("update imports set created_at = now()", "imports_immutable"),
        // While one is taken back, what it did not make stays.
        (
            "update imports set is_undoing = true; delete from transfers where entry_id in (select id from ledger_entries where document = 'payment')",
            "transfers_append_only",
        ),
        (
            "delete from invoices where kind = 'opening'",
            "invoices_immutable",
        ),
    ] {
        assert_eq!(
            firm.app.refusal(statement.to_owned()).await,
            constraint,
            "{statement}"
        );
    }
}

#[tokio::test]
async fn verify_names_opening_rows_that_do_not_agree() {
    let firm = Firm::new().await;
    firm.bring(&example()).await;
    firm.app.assert_clean().await;
    let mut owner = PgConnection::connect(firm.app.superuser_url())
        .await
        .unwrap();
    sqlx::raw_sql("set session_replication_role = replica")
        .execute(&mut owner)
        .await
        .unwrap();
    for (statement, back, place, what) in [
        (
            "update allowance_grants set opening_used = 5000",
            "update allowance_grants set opening_used = 5400",
            "allowance_grants",
            "opening_used",
        ),
        (
            "update invoices set opening_paid_minor = 6700 where kind = 'opening'",
            "update invoices set opening_paid_minor = 6800 where kind = 'opening'",
            "import_rows",
            "invoice A-17",
        ),
        (
            "update import_rows set amount_minor = 1300 where kind = 'credit'",
            "update import_rows set amount_minor = 1200 where kind = 'credit'",
            "ledger_entries",
            "entry of credit C-1002/USD",
        ),
        (
            "update import_rows set amount_minor = 600 where key = 'C-1002/USD/never'",
            "update import_rows set amount_minor = 500 where key = 'C-1002/USD/never'",
            "import_rows",
            "lot C-1002/USD/never",
        ),
        (
            "update sellers set opening_number = 125 where opening_number is not null",
            "update sellers set opening_number = 124 where opening_number is not null",
            "sellers",
            "next_number",
        ),
    ] {
        sqlx::raw_sql(statement).execute(&mut owner).await.unwrap();
        let report = firm.app.app.verify(|_| {}).await.unwrap();
        let found = report.differences.iter();
        let found: Vec<(&str, &str)> = found
            .map(|it| (it.table.as_str(), it.what.as_str()))
            .collect();
        assert!(found.contains(&(place, what)), "{statement}: {found:?}");
        sqlx::raw_sql(back).execute(&mut owner).await.unwrap();
    }
    firm.app.assert_clean().await;
}

#[tokio::test]
async fn a_long_book_comes_in_and_goes_back_with_few_statements() {
    let firm = Firm::new().await;
    let customers: Vec<Value> = (0..1_200)
        .map(|n| {
            json!({"key": format!("C-{n}"), "name": format!("Customer {n}"), "numbers": [format!("+1202555{n:04}")],
                "subscription": {"plan": "team", "startedOn": "2026-02-15", "anchorOn": "2026-02-15", "periodStartsOn": "2026-02-15",
                    "periodEndsOn": "2026-03-15", "used": [{"allowance": "time", "quantity": 60}]},
                "invoices": [{"number": format!("A-{n}"), "issuedOn": "2026-02-01", "dueOn": "2026-02-15", "currency": "USD", "total": 10, "open": 5}],
                "wallet": [{"currency": "USD", "amount": "2.50"}]})
        })
        .collect();
    let brought = firm.bring(&book(&json!(customers))).await;
    assert_eq!(
        (
            &brought["customers"],
            &brought["sums"][0]["open"],
            &brought["sums"][0]["prepaid"]
        ),
        (&json!(1_200), &json!("6000.00"), &json!("3000.00"))
    );
    firm.app.assert_clean().await;
    firm.undo(&brought).await.expect(200);
    assert_eq!(firm.app.count("select count(*) from customers").await, 0);
    firm.app.assert_clean().await;
}
