//! Prepaid credit: drawn as usage is charged, the oldest expiring first; kept usage waits for the next credit; an invoice
//! asks for what was not prepaid; and nothing of it is ever made or lost.

use jiff::SignedDuration;
use serde_json::{Value, json};
use tollbook::Difference;
use tollbook_core::ids::CustomerId;

use crate::support::{Answer, NewUsage, Organization, TestApp, User, at};

/// A firm that sells minutes at ten cents, and a customer of it with an empty wallet.
struct Firm {
    app: TestApp,
    acme: Organization,
    admin: User,
    dana: CustomerId,
    wallet: String,
}

impl Firm {
    async fn new(app: TestApp) -> Self {
        let (acme, admin) = app.firm().await;
        app.sell_minutes(&admin, &acme).await;
        let dana = app.customer(&acme, "Dana").await;
        let mut firm = Self {
            app,
            acme,
            admin,
            dana,
            wallet: String::new(),
        };
        firm.wallet = firm.open(dana).await;
        firm
    }

    async fn open(&self, customer: CustomerId) -> String {
        let body = json!({"customerId": customer});
        let made = self.post("/api/admin/wallets", &body).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let ask = self.app.post(path).user(&self.admin);
        ask.organization(&self.acme).json(body).send().await
    }

    async fn get(&self, path: &str) -> Value {
        let ask = self.app.get(path).user(&self.admin);
        ask.organization(&self.acme).send().await.expect(200)
    }

    async fn move_credit(&self, body: &Value) -> Answer {
        let path = format!("/api/admin/wallets/{}/movements", self.wallet);
        self.post(&path, body).await
    }

    async fn top_up(&self, amount: &str) -> Value {
        let body = json!({"kind": "top_up", "amount": amount, "reference": "transfer"});
        self.move_credit(&body).await.expect(201)
    }

    /// Kind and amount of each movement, the newest first.
    async fn movements(&self) -> Vec<String> {
        let path = format!("/api/admin/wallets/{}/movements", self.wallet);
        shown(&self.get(&path).await["data"])
    }

    /// Balance and what is available.
    async fn standing(&self) -> [String; 2] {
        let path = format!("/api/admin/wallets/{}", self.wallet);
        let wallet = self.get(&path).await;
        ["balance", "available"].map(|field| wallet[field].as_str().unwrap().to_owned())
    }

    async fn talk(&self, minutes: i64, time: &str) -> NewUsage {
        let usage = NewUsage::call(self.dana, minutes * 60, at(time));
        self.app
            .record(&self.acme, std::slice::from_ref(&usage))
            .await;
        self.app.settle().await;
        usage
    }

    /// Until the documents of March are final.
    async fn end_the_month(&self) {
        self.app.advance(SignedDuration::from_hours(24 * 32));
        self.app.settle().await;
    }

    async fn invoices(&self) -> Vec<String> {
        let list = self
            .get(&format!("/api/admin/invoices?customerId={}", self.dana))
            .await;
        let line = |it: &Value| {
            let [status, total, paid] =
                ["status", "total", "paid"].map(|field| it[field].as_str().unwrap());
            format!("{status} {total} {paid}")
        };
        list["data"].as_array().unwrap().iter().map(line).collect()
    }

    async fn is_clean(&self) {
        let report = self.app.app.verify(|_| {}).await.unwrap();
        // Usage was put there as it is, without counters and with keys of its own.
        let is_wrong = |it: &&Difference| !it.table.starts_with("usage_");
        let found = report.differences.iter().filter(is_wrong);
        let found: Vec<String> = found.map(ToString::to_string).collect();
        assert_eq!(found, Vec::<String>::new());
    }
}

fn shown(movements: &Value) -> Vec<String> {
    let line = |it: &Value| {
        let [kind, amount] = ["kind", "amount"].map(|field| it[field].as_str().unwrap());
        format!("{kind} {amount}")
    };
    movements.as_array().unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn usage_is_paid_by_the_credit_that_expires_first_and_the_invoice_names_it() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.top_up("5").await;
    firm.move_credit(&json!({"kind": "top_up", "amount": 1, "reference": "gift", "expires_at": "2026-03-20T00:00:00Z"}))
        .await
        .expect(201);
    firm.talk(15, "2026-03-02T10:00:00Z").await;
    assert_eq!(
        firm.movements().await,
        ["draw -0.50", "draw -1.00", "top_up 1.00", "top_up 5.00"]
    );
    assert_eq!(firm.standing().await, ["4.50", "4.50"]);
    firm.is_clean().await;
    firm.app
        .change("update customers set tax_percent = 10")
        .await;
    firm.end_the_month().await;
    // The tax is drawn with the document.
    assert_eq!(firm.invoices().await, ["paid 1.65 1.65"]);
    assert_eq!(firm.standing().await, ["4.35", "4.35"]);
    let prepaid = "select prepaid_minor from invoices where state = 'paid'";
    assert_eq!(firm.app.count(prepaid).await, 165);
    firm.is_clean().await;
    let deeds = "select action from audit_log where subject = 'wallet' order by id";
    assert_eq!(
        firm.app.texts(deeds).await,
        ["wallet.opened", "wallet.topped_up", "wallet.topped_up"]
    );
}

#[tokio::test]
async fn usage_beyond_the_credit_is_kept_and_the_next_credit_pays_for_it() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.top_up("1.00").await;
    firm.talk(25, "2026-03-02T10:00:00Z").await;
    assert_eq!(firm.standing().await, ["0.00", "-1.50"]);
    firm.is_clean().await;
    let refused = firm
        .move_credit(&json!({"kind": "refund", "amount": "0.01", "reference": "x"}))
        .await;
    assert_eq!(refused.expect(409)["code"], "insufficient_credit");
    let brought = firm.top_up("2").await;
    assert_eq!(shown(&brought["movements"]), ["draw -1.50", "top_up 2.00"]);
    assert_eq!(brought["wallet"]["available"], "0.50");
    // What nobody paid for in advance is asked for.
    firm.talk(10, "2026-03-02T11:00:00Z").await;
    assert_eq!(firm.standing().await, ["0.00", "-0.50"]);
    firm.end_the_month().await;
    assert_eq!(firm.invoices().await, ["finalized 3.50 3.00"]);
    // What an invoice asks for is not asked for twice.
    assert_eq!(firm.standing().await, ["0.00", "0.00"]);
    firm.is_clean().await;
}

#[tokio::test]
async fn what_a_withdrawn_invoice_asked_for_is_drawn_with_the_next_one() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.talk(10, "2026-03-02T10:00:00Z").await;
    firm.end_the_month().await;
    assert_eq!(firm.invoices().await, ["finalized 1.00 0.00"]);
    firm.top_up("5").await;
    assert_eq!(firm.standing().await, ["5.00", "5.00"]);
    let invoices = firm.get("/api/admin/invoices").await;
    let path = format!(
        "/api/admin/invoices/{}/void",
        invoices["data"][0]["id"].as_str().unwrap()
    );
    let body = json!({"reason": "wrong address"});
    firm.post(&path, &body).await.expect(200);
    assert_eq!(firm.standing().await, ["4.00", "4.00"]);
    firm.is_clean().await;
    firm.end_the_month().await;
    assert_eq!(firm.invoices().await, ["paid 1.00 1.00", "void 1.00 0.00"]);
    assert_eq!(firm.standing().await, ["4.00", "4.00"]);
    firm.is_clean().await;
}

#[tokio::test]
async fn a_correction_gives_back_and_a_wallet_begins_with_what_is_on_the_drafts() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.top_up("5").await;
    let call = firm.talk(15, "2026-03-02T10:00:00Z").await;
    firm.app.record(&firm.acme, &[call.corrected(-600)]).await;
    firm.app.settle().await;
    assert_eq!(firm.standing().await, ["4.50", "4.50"]);
    assert_eq!(firm.movements().await[..2], ["draw 1.00", "draw -1.50"]);
    firm.is_clean().await;
    // Another one talks first and pays in advance later.
    let eve = firm.app.customer(&firm.acme, "Eve").await;
    let usage = NewUsage::call(eve, 60, at("2026-03-02T10:00:00Z"));
    firm.app.record(&firm.acme, &[usage]).await;
    firm.app.settle().await;
    let late = Firm {
        wallet: firm.open(eve).await,
        ..firm
    };
    assert_eq!(late.standing().await, ["0.00", "-0.10"]);
    late.top_up("1").await;
    assert_eq!(late.standing().await, ["0.90", "0.90"]);
    late.is_clean().await;
}

#[tokio::test]
async fn credit_that_expires_pays_for_what_was_used_before_and_the_rest_is_lost() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.move_credit(&json!({"kind": "top_up", "amount": "3", "reference": "gift", "expiresAt": "2026-03-10T00:00:00Z"}))
        .await
        .expect(201);
    firm.app.advance(SignedDuration::from_hours(24 * 9));
    firm.talk(10, "2026-03-09T23:59:59Z").await;
    assert_eq!(
        firm.movements().await,
        ["expire -2.00", "draw -1.00", "top_up 3.00"]
    );
    firm.talk(10, "2026-03-10T00:00:00Z").await;
    assert_eq!(firm.standing().await, ["0.00", "-1.00"]);
    firm.is_clean().await;
    // What was lost is earned.
    let earned = "select t.amount_minor from transfers t join ledger_accounts c on c.id = t.credit_account_id
        join ledger_accounts d on d.id = t.debit_account_id where c.kind = 'revenue' and d.kind = 'wallet'";
    assert_eq!(firm.app.count(earned).await, 200);
}

#[tokio::test]
async fn credit_is_paid_out_once() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.top_up("5").await;
    let path = format!("/api/admin/wallets/{}/movements", firm.wallet);
    let refund = |key: &'static str, amount: &'static str| {
        let ask = firm.app.post(&path).user(&firm.admin);
        ask.organization(&firm.acme)
            .header("idempotency-key", key)
            .json(&json!({"kind": "refund", "amount": amount, "reference": "account closed"}))
            .send()
    };
    let first = refund("a", "3.00").await.expect(201);
    assert_eq!(refund("a", "3.00").await.expect(201), first);
    refund("a", "4.00").await.expect(422);
    assert_eq!(firm.standing().await, ["2.00", "2.00"]);
    // Credit that was granted is not paid out.
    let limited = firm
        .app
        .request(
            reqwest::Method::PATCH,
            &format!("/api/admin/wallets/{}", firm.wallet),
        )
        .user(&firm.admin)
        .organization(&firm.acme)
        .json(&json!({"creditLimit": "10"}))
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&limited["available"], &limited["creditLimit"]),
        (&json!("12.00"), &json!("10.00"))
    );
    assert_eq!(
        refund("b", "2.01").await.expect(409)["code"],
        "insufficient_credit"
    );
    refund("c", "2.00").await.expect(201);
    firm.is_clean().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let firm = Firm::new(TestApp::quiet().await).await;
    for (body, field) in [
        (
            json!({"kind": "top_up", "amount": "0", "reference": "x"}),
            "amount",
        ),
        (
            json!({"kind": "top_up", "amount": "-1", "reference": "x"}),
            "amount",
        ),
        (
            json!({"kind": "top_up", "amount": "0.001", "reference": "x"}),
            "amount",
        ),
        (
            json!({"kind": "top_up", "amount": "99999999999999999999", "reference": "x"}),
            "amount",
        ),
        (
            json!({"kind": "top_up", "amount": "1", "reference": ""}),
            "reference",
        ),
        (
            json!({"kind": "draw", "amount": "1", "reference": "x"}),
            "kind",
        ),
        (
            json!({"kind": "top_up", "amount": "1", "reference": "x", "expiresAt": "2026-03-01T00:00:00Z"}),
            "expiresAt",
        ),
        (
            json!({"kind": "refund", "amount": "1", "reference": "x", "expiresAt": "2027-03-01T00:00:00Z"}),
            "expiresAt",
        ),
    ] {
        let answer = firm.move_credit(&body).await.expect(422);
        assert_eq!(answer["errors"][0]["field"], field, "{body}");
    }
    let again = json!({"customerId": firm.dana});
    let refused = firm.post("/api/admin/wallets", &again).await;
    assert_eq!(refused.expect(409)["code"], "wallet_exists");
    let below = json!({"customerId": firm.dana, "currency": "EUR", "creditLimit": "-1"});
    let refused = firm.post("/api/admin/wallets", &below).await.expect(422);
    assert_eq!(refused["errors"][0]["field"], "creditLimit");
    // An admin has no wallet to give for what the platform sells.
    let own = firm.post("/api/admin/wallets", &json!({})).await;
    assert_eq!(own.expect(422)["errors"][0]["field"], "customerId");
    let boss = firm.app.platform_admin().await;
    let body = json!({"orgId": firm.acme.id, "creditLimit": "100"});
    let ask = firm.app.post("/api/admin/wallets").user(&boss).json(&body);
    let platforms = ask.send().await.expect(201);
    assert_eq!(
        (&platforms["customerId"], &platforms["available"]),
        (&Value::Null, &json!("100.00"))
    );
    let list = firm.get("/api/admin/wallets").await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    let path = format!("/api/admin/wallets/{}", platforms["id"].as_str().unwrap());
    let ask = firm.app.get(&path).user(&firm.admin);
    ask.organization(&firm.acme).send().await.expect(404);
    firm.is_clean().await;
}

#[tokio::test]
async fn the_database_keeps_wallets_from_saying_what_is_not_so() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.top_up("5").await;
    firm.talk(10, "2026-03-02T10:00:00Z").await;
    for (statement, constraint) in [
        (
            "update wallets set balance = -0.01, is_overdrawn = true",
            "wallets_balance_check",
        ),
        (
            "update wallets set unapplied = -0.01",
            "wallets_unapplied_check",
        ),
        (
            "update wallets set reserved = 4.01",
            "wallets_available_check",
        ),
        (
            "update wallets set is_overdrawn = true",
            "wallets_available_check",
        ),
        (
            "update wallets set undrawn_numerator = 401, undrawn_denominator = 100",
            "wallets_available_check",
        ),
        (
            "update wallet_lots set used = amount + 0.01",
            "wallet_lots_used_check",
        ),
        (
            "update wallet_movements set amount = 1",
            "wallet_movements_append_only",
        ),
        (
            "delete from wallet_movements",
            "wallet_movements_append_only",
        ),
        (
            "insert into wallet_movements (organization_id, id, wallet_id, kind, amount, occurred_at) select organization_id, gen_random_uuid(), id, 'draw', -1, now() from wallets",
            "wallet_movements_lot_check",
        ),
        (
            "insert into wallet_movements (organization_id, id, wallet_id, kind, amount, occurred_at) select organization_id, gen_random_uuid(), id, 'top_up', -1, now() from wallets",
            "wallet_movements_sign_check",
        ),
        (
            "update invoices set prepaid_minor = 1",
            "invoices_prepaid_check",
        ),
    ] {
        let refused = firm.app.refusal(statement.to_owned()).await;
        assert_eq!(refused, constraint, "{statement}");
    }
    // And takes what is so.
    let reserved = firm
        .app
        .refusal("update wallets set reserved = 4".to_owned());
    assert_eq!(reserved.await, "1 rows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_hands_on_three_nodes_lose_no_cent() {
    let first = TestApp::start().await;
    let (second, third) = (first.beside().await, first.beside().await);
    let firm = Firm::new(first).await;
    firm.top_up("2").await;
    let path = format!("/api/admin/wallets/{}/movements", firm.wallet);
    let tasks = (0_i64..24).map(|n| {
        let node = match n % 3 {
            0 => &firm.app,
            1 => &second,
            _ => &third,
        };
        let (firm, path) = (&firm, &path);
        async move {
            if n % 2 == 0 {
                let usage = NewUsage::call(firm.dana, 60 * (n + 1), at("2026-03-02T10:00:00Z"));
                node.record(&firm.acme, &[usage]).await;
                return 0;
            }
            let kind = if n % 4 == 1 { "top_up" } else { "refund" };
            let body = json!({"kind": kind, "amount": "1.00", "reference": "hand"});
            let ask = node.post(path).user(&firm.admin).organization(&firm.acme);
            let answer = ask.json(&body).send().await;
            match (kind, answer.status) {
                ("top_up", 201) => 100,
                ("refund", 201) => -100,
                ("refund", 409) => 0,
                _ => panic!("{answer:?}"),
            }
        }
    });
    let moved: i64 = futures_util::future::join_all(tasks).await.iter().sum();
    firm.app.settle().await;
    // 1 + 3 + … + 23 minutes at ten cents.
    let left = 200 + moved - 1_440;
    let standing = firm.standing().await;
    let cents = |text: &str| text.replace('.', "").parse::<i64>().unwrap();
    assert_eq!(cents(&standing[1]), left);
    assert_eq!(cents(&standing[0]), left.max(0));
    firm.is_clean().await;
    // The database goes with the first node.
    drop((second, third));
}
