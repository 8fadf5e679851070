//! Documents and payments of a payer, for tests of money.

use serde_json::{Value, json};
use tollbook::Difference;
use tollbook_core::ids::CustomerId;

use super::answer::Answer;
use super::app::TestApp;
use super::people::{Organization, User};

/// A firm with an admin and a customer.
pub(crate) struct Firm {
    pub(crate) acme: Organization,
    pub(crate) admin: User,
    pub(crate) dana: CustomerId,
}

impl TestApp {
    /// A firm and its customer.
    pub(crate) async fn firm_with_customer(&self) -> Firm {
        let (acme, admin) = self.firm().await;
        let dana = self.customer(&acme, "Dana").await;
        Firm { acme, admin, dana }
    }

    /// Posts as the admin of a firm.
    pub(crate) async fn posted(&self, firm: &Firm, path: &str, body: &Value) -> Answer {
        let ask = self.post(path).user(&firm.admin).organization(&firm.acme);
        ask.json(body).send().await
    }

    /// Reads as the admin of a firm.
    pub(crate) async fn read(&self, firm: &Firm, path: &str) -> Value {
        let ask = self.get(path).user(&firm.admin).organization(&firm.acme);
        ask.send().await.expect(200)
    }

    /// A finalized invoice of the firm's customer over one item; returns its id.
    pub(crate) async fn one_off(&self, firm: &Firm, amount: &str) -> String {
        let items = json!([{"description": "Work", "quantity": 1, "unitPrice": amount}]);
        self.one_off_of(firm, &items).await
    }

    /// A finalized invoice of the firm's customer over these items; returns its id.
    pub(crate) async fn one_off_of(&self, firm: &Firm, items: &Value) -> String {
        let body = json!({"customerId": firm.dana, "billingPeriodStart": "2026-02-01", "billingPeriodEnd": "2026-02-28", "items": items});
        let made = self.posted(firm, "/api/admin/invoices", &body).await;
        made.expect(201)["id"].as_str().unwrap().to_owned()
    }

    /// Records a payment of the firm's customer, with more fields.
    pub(crate) async fn pay(&self, firm: &Firm, amount: &str, more: &Value) -> Answer {
        let mut body = json!({"customerId": firm.dana, "channel": "check", "amount": amount});
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        self.posted(firm, "/api/admin/payments", &body).await
    }

    /// What the customers' invoices stand at: number, state, paid and credited in cents.
    pub(crate) async fn standings(&self) -> Vec<String> {
        self.texts("select format('%s %s %s %s', number_seq, state, paid_minor, credited_minor) from invoices where state <> 'draft' order by number_seq").await
    }

    /// What the ledger says is owed and is credit, and what came in, in cents.
    pub(crate) async fn balances(&self) -> Vec<String> {
        self.texts(
            "select format('%s %s', a.kind, sum(case a.id when t.debit_account_id then t.amount_minor else -t.amount_minor end))
             from ledger_accounts a join transfers t on a.id in (t.debit_account_id, t.credit_account_id)
             where a.kind in ('receivable', 'customer_credit', 'clearing')
             group by a.kind order by a.kind",
        )
        .await
    }

    /// That everything that is derived agrees with what it is derived from. What tests record by themselves is not counted
    /// and has keys of its own.
    pub(crate) async fn assert_clean(&self) {
        let mut report = self.app.verify(|_| {}).await.unwrap();
        let of_tests = |it: &Difference| it.table == "usage_counters" || it.what == "key_digest";
        report.differences.retain(|it| !of_tests(it));
        assert!(report.differences.is_empty(), "{:#?}", report.differences);
    }
}
