//! What is sold: customers with a number each, every second one with a subscription and minutes included, the others
//! paying by the call.

use tollbook_postgres::APPLICATION_DATABASE;

use super::{Cluster, id};

const SUBSCRIPTION: &str = r#"{"currency":"USD","baseFee":"20","prices":[{"key":"talk","meter":"CALL_DURATION_SECONDS","increment":"60/60",
    "rate":{"per_unit":{"price":"0.05","per":60}}}],"allowances":[{"key":"minutes","meters":["CALL_DURATION_SECONDS"],"quantity":6000}]}"#;
const PAY_PER_CALL: &str = r#"{"currency":"USD","prices":[{"key":"talk","meter":"CALL_DURATION_SECONDS","increment":"30/6",
    "connectionFee":"0.02","rate":{"per_unit":{"price":"0.09","per":60}}}]}"#;

/// Customers of the organization that [`super::make_organization`] made, with the numbers `+1646…`.
pub(crate) fn make_customers(cluster: &Cluster, customers: u64) {
    let organization = id(1, 0);
    let (plan, pay_per_call) = (id(8, 0), id(8, 1));
    cluster.run(
        APPLICATION_DATABASE,
        &format!(
            "set session_replication_role = replica;
             create function pg_temp.id(kind text, n bigint) returns uuid language sql as
                 $$ select ('018d0000-00' || kind || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
             insert into plans (seller_id, id, code, name, kind) values
                 ('{organization}', '{plan}', 'minutes', 'Minutes', 'subscription'),
                 ('{organization}', '{pay_per_call}', 'calls', 'Calls', 'pay_per_call');
             insert into plan_versions (seller_id, id, plan_id, version, state, currency, document, published_at) values
                 ('{organization}', '{plan}', '{plan}', 1, 'published', 'USD', '{SUBSCRIPTION}', now()),
                 ('{organization}', '{pay_per_call}', '{pay_per_call}', 1, 'published', 'USD', '{PAY_PER_CALL}', now());
             insert into pay_per_call_terms (organization_id, id, plan_version_id, starts_at)
                 values ('{organization}', '{pay_per_call}', '{pay_per_call}', '2024-01-01');
             insert into accounts (organization_id, id, payer)
                 select '{organization}', pg_temp.id('06', n), 'customer' from generate_series(0, {customers} - 1) n;
             insert into customers (organization_id, id, account_id, name)
                 select '{organization}', pg_temp.id('05', n), pg_temp.id('06', n), 'Customer ' || n from generate_series(0, {customers} - 1) n;
             insert into customer_numbers (organization_id, id, customer_id, e164)
                 select '{organization}', pg_temp.id('07', n), pg_temp.id('05', n), '+1646' || lpad(n::text, 7, '0')
                 from generate_series(0, {customers} - 1) n;
             create temporary table subscribed as
                 select n, date_trunc('month', now(), 'UTC') as starts_at, date_trunc('month', now(), 'UTC') + interval '1 month' as ends_at
                 from generate_series(0, {customers} - 1, 2) n;
             insert into subscriptions (organization_id, id, payer, customer_id, account_id, state, zone, anchor_on, interval_months, starts_at)
                 select '{organization}', pg_temp.id('09', n), 'customer', pg_temp.id('05', n), pg_temp.id('06', n), 'active', 'UTC',
                     starts_at::date, 1, starts_at from subscribed;
             insert into subscription_segments (organization_id, id, subscription_id, payer, seller_id, plan_version_id, starts_at)
                 select '{organization}', pg_temp.id('0a', n), pg_temp.id('09', n), 'customer', '{organization}', '{plan}', starts_at from subscribed;
             insert into billing_periods (organization_id, id, subscription_id, payer, starts_at, ends_at)
                 select '{organization}', pg_temp.id('0b', n), pg_temp.id('09', n), 'customer', starts_at, ends_at from subscribed;
             insert into allowance_grants (organization_id, id, account_id, payer, subscription_id, allowance_key, granted, starts_at, expires_at)
                 select '{organization}', pg_temp.id('0c', n), pg_temp.id('06', n), 'customer', pg_temp.id('09', n), 'minutes', 6000, starts_at, ends_at
                 from subscribed;
             analyze;",
        ),
    );
}
