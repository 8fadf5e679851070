//! What an organization sells, in tests.

use tollbook_core::plans::Offer;
use uuid::Uuid;

use super::app::TestApp;
use super::people::Organization;

impl TestApp {
    /// From the beginning of 2026 on, time talked costs those without a subscription: 60/6, 1.95 a minute.
    pub(crate) async fn sell_per_call(&self, organization: &Organization) {
        let plan = r#"{"code": "per-call", "kind": "pay_per_call", "currency": "USD", "prices": [{"key": "talk",
        "meter": "CALL_DURATION_SECONDS", "increment": "60/6", "rate": {"per_unit": {"price": "1.95", "per": 60}}}]}"#;
        let offer = Offer::read(plan.as_bytes()).unwrap();
        let document = serde_json::to_string(&offer.document).unwrap();
        let (seller, plan, version) = (organization.id.uuid(), Uuid::now_v7(), Uuid::now_v7());
        let mut tx = self.platform().await;
        sqlx::query("insert into plans (seller_id, id, code, name, kind) values ($1, $2, 'per-call', 'Per call', 'pay_per_call')")
            .bind(seller)
            .bind(plan)
            .execute(&mut *tx)
            .await
            .unwrap();
        sqlx::query(
            "insert into plan_versions (seller_id, id, plan_id, version, state, currency, document, published_at)
             values ($1, $2, $3, 1, 'published', 'USD', $4::jsonb, '2026-01-01')",
        )
        .bind(seller)
        .bind(version)
        .bind(plan)
        .bind(&document)
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query("insert into pay_per_call_terms (organization_id, id, plan_version_id, starts_at) values ($1, $2, $3, '2026-01-01')")
            .bind(seller)
            .bind(Uuid::now_v7())
            .bind(version)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}
