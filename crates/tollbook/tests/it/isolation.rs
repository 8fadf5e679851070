//! Nobody sees anything of another organization, nor more of their own than their role may: checked for every table,
//! against the catalogue and against rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tollbook::{Db, Tx};
use tollbook_core::actor::Actor;
use uuid::Uuid;

use crate::support::Database;

/// Nothing was found.
pub(crate) const NONE: [&str; 0] = [];

/// Roles of the database, in the order of the matrix. `tollbook_none` may do nothing.
const ROLES: [&str; 5] = ["platform", "admin", "member", "portal", "ingest"];

/// An id of the fixture: `org` is its digit.
pub(crate) fn id(org: u32, n: u32) -> Uuid {
    format!("{org}0000000-0000-7000-8000-{n:012}")
        .parse()
        .unwrap()
}

/// Who acts in organization `org` of the fixture.
pub(crate) fn actor(role: &str, org: u32) -> Actor {
    let organization = id(org, 1).into();
    match role {
        "platform" => Actor::system(),
        "admin" => Actor::Admin {
            organization,
            user: Some(id(org, 11).into()),
        },
        "member" => Actor::Member {
            organization,
            user: id(org, 12).into(),
            may_buy_numbers: true,
        },
        "portal" => Actor::Portal {
            organization,
            customer: id(org, 51).into(),
            user: Some(id(org, 14).into()),
        },
        _ => unreachable!("{role}"),
    }
}

/// A database without an application: nothing in it moves by itself.
pub(crate) struct Fixture {
    pub(crate) db: Db,
    database: Database,
}

impl Fixture {
    async fn empty() -> Self {
        let database = Database::new().await;
        let db = Db::connect(&database.connection, 2).await.unwrap();
        Self { db, database }
    }

    /// With both organizations of the fixture.
    pub(crate) async fn filled() -> Self {
        let app = Self::empty().await;
        let mut owner = app.owner().await;
        for org in ["1", "2"] {
            let set = format!("set fixture.org = '{org}'");
            sqlx::raw_sql(AssertSqlSafe(set))
                .execute(&mut owner)
                .await
                .unwrap();
            sqlx::raw_sql(include_str!("fixture.sql"))
                .execute(&mut owner)
                .await
                .unwrap();
        }
        app
    }

    pub(crate) async fn owner(&self) -> PgConnection {
        PgConnection::connect(&self.database.superuser_url)
            .await
            .unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.database.dispose();
    }
}

pub(crate) async fn strings(owner: &mut PgConnection, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query).fetch_all(owner).await.unwrap()
}

/// Every table but the migrator's own, partitions aside.
const TABLES: &str = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> '_sqlx_migrations' order by 1";

/// What each role may do with each table: select, insert, update, delete; in brackets with some columns only.
#[tokio::test]
async fn every_table_is_classified() {
    let app = Fixture::empty().await;
    let mut owner = app.owner().await;
    let mut matrix = String::new();
    for table in strings(&mut owner, TABLES).await {
        write!(matrix, "{table}:").unwrap();
        for role in ROLES {
            let verbs = verbs(&mut owner, &table, role).await;
            if !verbs.is_empty() {
                write!(matrix, " {role} {verbs}").unwrap();
            }
        }
        matrix.push('\n');
    }
    insta::assert_snapshot!(matrix);
}

async fn verbs(owner: &mut PgConnection, table: &str, role: &str) -> String {
    let mut verbs = String::new();
    for verb in ["select", "insert", "update", "delete"] {
        let letter = verb.get(..1).unwrap();
        let whole: bool = sqlx::query_scalar(
            "select has_table_privilege('tollbook_' || $1, 'public.' || $2, $3)",
        )
        .bind(role)
        .bind(table)
        .bind(verb)
        .fetch_one(&mut *owner)
        .await
        .unwrap();
        let columns: Vec<String> = match (whole, verb) {
            (true, _) | (_, "delete") => Vec::new(),
            _ => sqlx::query_scalar(
                "select attname::text from pg_attribute where attrelid = ('public.' || $2)::regclass and attnum > 0 and not attisdropped
                     and has_column_privilege('tollbook_' || $1, attrelid, attnum, $3) order by attnum",
            ).bind(role).bind(table).bind(verb).fetch_all(&mut *owner).await.unwrap(),
        };
        match (whole, columns.as_slice()) {
            (true, _) => verbs.push_str(letter),
            (false, []) => {}
            (false, columns) => write!(verbs, "{letter}({})", columns.join(" ")).unwrap(),
        }
    }
    verbs
}

/// What is said of the rows, with the tables of which it is said.
#[tokio::test]
async fn every_policy_is_known() {
    let app = Fixture::empty().await;
    let mut owner = app.owner().await;
    let rows = sqlx::query(
        "select tablename::text, array_to_string(roles, ' ') || ', ' || lower(cmd) || case permissive when 'RESTRICTIVE' then ', only' else '' end
             || coalesce(' using ' || qual, '') || coalesce(' check ' || nullif(with_check, qual), '')
         from pg_policies where schemaname = 'public' order by 1",
    ).fetch_all(&mut owner).await.unwrap();
    let mut policies: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let rule: String = row.get(1);
        assert!(
            !rule.contains("SELECT "),
            "no policy asks another table: {rule}"
        );
        policies.entry(rule).or_default().push(row.get(0));
    }
    let shown: Vec<String> = policies
        .iter()
        .map(|(rule, tables)| format!("{rule}\n    {}", tables.join(" ")))
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[tokio::test]
async fn nothing_escapes_row_level_security() {
    let app = Fixture::empty().await;
    let mut owner = app.owner().await;
    let open = strings(&mut owner, "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relrowsecurity and c.relname <> '_sqlx_migrations'").await;
    assert_eq!(
        open, NONE,
        "every table has row-level security, partitions too"
    );
    let granted = strings(&mut owner, "select c.relname || ' ' || r.rolname from pg_class c join pg_roles r on r.rolname like 'tollbook\\_%'
        where c.relispartition and c.relkind = 'r' and has_table_privilege(r.oid, c.oid, 'select, insert, update, delete, truncate, references, trigger')").await;
    assert_eq!(
        granted, NONE,
        "partitions are reached through their table only"
    );
    let views = strings(&mut owner, "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind in ('v', 'm') and not coalesce('security_invoker=true' = any (c.reloptions), false)").await;
    assert_eq!(views, NONE, "a view runs as whoever asks");
    let careless = strings(&mut owner, "select p.proname::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'public' and p.prosecdef and not coalesce(array_to_string(p.proconfig, ' ') like '%search_path=%', false)").await;
    assert_eq!(
        careless, NONE,
        "a function with the owner's rights fixes its search path"
    );
    let callable = strings(&mut owner, "select p.proname || ' ' || r.rolname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        join pg_roles r on r.rolname in ('tollbook_none', 'tollbook_admin', 'tollbook_member', 'tollbook_portal', 'tollbook_ingest')
        where n.nspname = 'public' and p.prosecdef and p.prorettype <> 'trigger'::regtype and has_function_privilege(r.oid, p.oid, 'execute')").await;
    assert_eq!(callable, NONE, "nobody borrows the owner's rights");
    let powerful = strings(&mut owner, "select rolname::text from pg_roles
        where rolname like 'tollbook\\_%' and (rolsuper or rolbypassrls or rolcanlogin or rolcreaterole or rolcreatedb)").await;
    assert_eq!(powerful, NONE, "no role is above the policies");
}

#[tokio::test]
async fn a_session_that_does_not_say_who_acts_may_do_nothing() {
    let app = Fixture::empty().await;
    let mut owner = app.owner().await;
    let tables = strings(&mut owner, TABLES).await;
    let mut session = PgConnection::connect(&app.database.url).await.unwrap();
    for reset in ["select 1", "reset role", "reset all"] {
        sqlx::raw_sql(reset).execute(&mut session).await.unwrap();
        for table in &tables {
            for statement in [
                format!("select from {table}"),
                format!("delete from {table}"),
                format!("truncate {table}"),
            ] {
                let refused = sqlx::raw_sql(AssertSqlSafe(statement.clone()))
                    .execute(&mut session)
                    .await
                    .unwrap_err();
                assert_eq!(
                    code(&refused),
                    "42501",
                    "{statement} after {reset}: {refused}"
                );
            }
        }
    }
}

pub(crate) fn code(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.code().unwrap_or_default().into_owned(),
        other => other.to_string(),
    }
}

/// When a row belongs to another organization than `own`; `None` for what belongs to none.
fn is_foreign(table: &str, own: Uuid) -> Option<String> {
    match table {
        "organizations" => Some(format!("id <> '{own}'")),
        "plans" | "plan_versions" => Some(format!("seller_id not in ('{own}', '{}')", Uuid::nil())),
        "price_decks" | "deck_versions" | "deck_entries" => Some(format!("seller_id <> '{own}'")),
        "users" => Some(format!("'{own}' <> all (organization_ids)")),
        "refresh_families" | "refresh_tokens" | "idempotency_keys" | "schedules" | "inbox_keys"
        | "inbox_queue" | "webhook_rejections" | "provider_budgets" | "sync_cursors" => None,
        _ => Some(format!("organization_id <> '{own}'")),
    }
}

/// Rows that a role of organization `org` sees of a table, and how many of them are foreign; `None` if it may not look.
async fn visible(app: &Fixture, role: &str, org: u32, table: &str) -> Option<(i64, i64)> {
    let mut tx = app.db.begin(&actor(role, org)).await.unwrap();
    let foreign = is_foreign(table, id(org, 1)).unwrap_or_else(|| "false".to_owned());
    let query = format!("select count(*), count(*) filter (where {foreign}) from {table}");
    match sqlx::query_as(AssertSqlSafe(query))
        .fetch_one(&mut *tx)
        .await
    {
        Ok(counts) => Some(counts),
        Err(error) => {
            assert_eq!(code(&error), "42501", "{table} as {role}: {error}");
            None
        }
    }
}

/// Tables and roles that show rows of another organization.
async fn leaks(app: &Fixture, tables: &[String]) -> Vec<String> {
    let mut leaks = Vec::new();
    for table in tables {
        for role in ["admin", "member", "portal"] {
            for org in [1, 2] {
                if let Some((_, foreign @ 1..)) = visible(app, role, org, table).await {
                    leaks.push(format!("{table}: {role} of {org} sees {foreign}"));
                }
            }
        }
    }
    leaks
}

#[tokio::test]
async fn each_role_sees_its_own_rows_and_no_others() {
    let app = Fixture::filled().await;
    let mut owner = app.owner().await;
    let tables = strings(&mut owner, TABLES).await;
    assert_eq!(leaks(&app, &tables).await, NONE);
    let mut seen = String::new();
    for table in &tables {
        let all: i64 = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}")))
            .fetch_one(&mut owner)
            .await
            .unwrap();
        assert!(all > 0, "the fixture has no row in {table}");
        write!(seen, "{table}: {all} in all").unwrap();
        for role in ["platform", "admin", "member", "portal"] {
            if let Some((rows, _)) = visible(&app, role, 1, table).await {
                assert_eq!(
                    visible(&app, role, 2, table).await.unwrap().0,
                    rows,
                    "{table} as {role}"
                );
                write!(seen, ", {role} {rows}").unwrap();
            }
        }
        seen.push('\n');
    }
    insta::assert_snapshot!(seen);
}

/// The check above is worth something only if it finds what is wrong.
#[tokio::test]
async fn without_the_policies_the_check_fails() {
    let app = Fixture::filled().await;
    let mut owner = app.owner().await;
    let tables = strings(&mut owner, TABLES).await;
    for table in &tables {
        sqlx::raw_sql(AssertSqlSafe(format!(
            "alter table {table} disable row level security"
        )))
        .execute(&mut owner)
        .await
        .unwrap();
    }
    let found = leaks(&app, &tables).await;
    for table in &tables {
        let readable = visible(&app, "admin", 1, table).await.is_some();
        let is_found = found
            .iter()
            .any(|leak| leak.starts_with(&format!("{table}: admin of 1")));
        let has_owner = is_foreign(table, id(1, 1)).is_some();
        assert_eq!(is_found, readable && has_owner, "{table}");
    }
    for leak in [
        "calls: member of 1 sees 2",
        "invoices: portal of 2 sees 7",
        "customers: portal of 1 sees 2",
    ] {
        assert!(found.contains(&leak.to_owned()), "{leak} in {found:#?}");
    }
}

/// Columns that a statement may give: neither generated nor identity.
async fn columns(owner: &mut PgConnection, table: &str) -> Vec<String> {
    sqlx::query_scalar("select attname::text from pg_attribute where attrelid = ('public.' || $1)::regclass and attnum > 0
            and not attisdropped and attgenerated = '' and attidentity = '' order by attnum")
        .bind(table).fetch_all(owner).await.unwrap()
}

/// Runs a statement in a transaction of its own that is rolled back: rows affected, or the error's code.
async fn attempt(app: &Fixture, actor: &Actor, statement: String) -> Result<u64, String> {
    let mut tx: Tx = app.db.begin(actor).await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut *tx)
        .await;
    done.map(|it| it.rows_affected())
        .map_err(|error| code(&error))
}

#[tokio::test]
async fn nobody_writes_into_another_organization() {
    let app = Fixture::filled().await;
    let mut owner = app.owner().await;
    let (own, foreign) = (id(1, 1), id(2, 1));
    let mut tried = 0;
    for table in strings(&mut owner, TABLES).await {
        let columns = columns(&mut owner, &table).await;
        let owner_columns = ["organization_id", "seller_id"];
        let Some(whose) = owner_columns
            .into_iter()
            .find(|it| columns.iter().any(|column| column == it))
        else {
            continue;
        };
        let columns = columns.join(", ");
        // A row of the other organization, as it is: the policy speaks before any key does.
        let row: String = sqlx::query_scalar(AssertSqlSafe(format!(
            "select to_jsonb(t)::text from {table} t where {whose} = '{foreign}' limit 1"
        )))
        .fetch_one(&mut owner)
        .await
        .unwrap();
        let row = row.replace('\'', "''");
        for role in ["admin", "member", "portal"] {
            let actor = actor(role, 1);
            // The guards of finalized documents may speak first.
            let insert = format!(
                "insert into {table} ({columns}) select {columns} from jsonb_populate_record(null::{table}, '{row}'::jsonb)"
            );
            let refused = attempt(&app, &actor, insert).await.unwrap_err();
            let is_document = [
                "invoice_lines",
                "invoice_taxes",
                "credit_notes",
                "payment_allocations",
                "recharges",
            ]
            .contains(&table.as_str());
            assert!(
                refused == "42501" || is_document && refused == "23001",
                "{role} inserts into {table}: {refused}"
            );
            for statement in [
                format!("update {table} set {whose} = '{foreign}' where {whose} = '{own}'"),
                format!("update {table} set {whose} = {whose} where {whose} = '{foreign}'"),
                format!("delete from {table} where {whose} = '{foreign}'"),
            ] {
                match attempt(&app, &actor, statement.clone()).await {
                    // No right, the policy, or what is never changed at all.
                    Err(code) => assert!(
                        ["42501", "23001"].contains(&code.as_str()),
                        "{role}: {statement}: {code}"
                    ),
                    Ok(rows) => assert_eq!(rows, 0, "{role}: {statement}"),
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 400, "{tried} statements were tried");
}

/// What an admin may not write: a row of the platform's sale, by table.
const PLATFORM_ROWS: [(&str, &str); 28] = [
    ("credit_note_lines", "insert into credit_note_lines (id, credit_note_id, invoice_line_id, amount_minor)
        values (gen_random_uuid(), '10000000-0000-7000-8000-000000000142', '10000000-0000-7000-8000-000000000133', 1)"),
    ("credit_note_taxes", "insert into credit_note_taxes (credit_note_id, percent, inclusive, base_minor, tax_minor)
        values ('10000000-0000-7000-8000-000000000142', 0, false, 1, 0)"),
    ("recharges", "insert into recharges (document_id, void_invoice_id)
        values ('10000000-0000-7000-8000-000000000116', '10000000-0000-7000-8000-000000000159')"),
    ("subscriptions", "insert into subscriptions (id, payer, account_id, state, zone, anchor_on, interval_months, starts_at)
        values (gen_random_uuid(), 'organization', '10000000-0000-7000-8000-000000000043', 'active', 'UTC', '2020-01-01', 1, '2020-01-01')"),
    ("accounts", "insert into accounts (id, payer) values (gen_random_uuid(), 'organization')"),
    ("invoices", "insert into invoices (id, payer, kind, currency, period_start, period_end, zone)
        values (gen_random_uuid(), 'organization', 'period', 'USD', '2020-01-01', '2020-02-01', 'UTC')"),
    ("payments", "insert into payments (id, payer, channel, state, currency, amount_minor, received_at)
        values (gen_random_uuid(), 'organization', 'check', 'succeeded', 'USD', 1, now())"),
    ("payment_methods", "insert into payment_methods (id, payer, processor, token, kind) values (gen_random_uuid(), 'organization', 'stripe', 'x', 'card')"),
    ("credit_notes", "insert into credit_notes (id, invoice_id, payer, number, reason, currency, subtotal_minor, tax_minor, total_minor)
        values (gen_random_uuid(), '10000000-0000-7000-8000-000000000113', 'organization', 'x', 'x', 'USD', 1, 0, 1)"),
    ("ledger_accounts", "insert into ledger_accounts (id, payer, kind, currency) values (gen_random_uuid(), 'organization', 'wallet', 'USD')"),
    ("ledger_entries", "insert into ledger_entries (id, payer, document, document_id, occurred_at) values (gen_random_uuid(), 'organization', 'invoice', gen_random_uuid(), now())"),
    ("subscription_segments", "insert into subscription_segments (id, subscription_id, seller_id, plan_version_id, starts_at)
        values (gen_random_uuid(), '10000000-0000-7000-8000-000000000103', '10000000-0000-7000-8000-000000000001', '10000000-0000-7000-8000-000000000092', '2030-01-01')"),
    ("subscription_pauses", "insert into subscription_pauses (id, subscription_id, starts_at)
        values (gen_random_uuid(), '10000000-0000-7000-8000-000000000103', '2030-01-01')"),
    ("billing_periods", "insert into billing_periods (id, subscription_id, prev_end, starts_at, ends_at)
        values (gen_random_uuid(), '10000000-0000-7000-8000-000000000103', '2026-04-01', '2026-04-01', '2026-05-01')"),
    ("allowance_grants", "insert into allowance_grants (id, account_id, allowance_key, granted, starts_at, expires_at)
        values (gen_random_uuid(), '10000000-0000-7000-8000-000000000043', 'gift', 1000000, '2026-03-01', '2027-03-01')"),
    ("allowance_forfeits", "insert into allowance_forfeits (grant_id, at, quantity) values ('10000000-0000-7000-8000-000000000117', '2026-05-01', 1)"),
    ("tier_totals", "insert into tier_totals (organization_id, account_id, price_key, period_start)
        values ('10000000-0000-7000-8000-000000000001', '10000000-0000-7000-8000-000000000043', 'sms', '2026-03-01')"),
    ("wallets", "insert into wallets (id, account_id, currency, balance) values (gen_random_uuid(), '10000000-0000-7000-8000-000000000043', 'EUR', 1000000)"),
    ("wallet_movements", "insert into wallet_movements (organization_id, id, wallet_id, kind, amount, occurred_at)
        values ('10000000-0000-7000-8000-000000000001', gen_random_uuid(), '10000000-0000-7000-8000-000000000115', 'top_up', 1000000, now())"),
    ("wallet_lots", "insert into wallet_lots (organization_id, id, wallet_id, amount, received_at)
        values ('10000000-0000-7000-8000-000000000001', gen_random_uuid(), '10000000-0000-7000-8000-000000000115', 1000000, now())"),
    ("spend_caps", "insert into spend_caps (id, payer, currency, amount, is_hard) values (gen_random_uuid(), 'organization', 'EUR', 1000000, false)"),
    ("spend_totals", "insert into spend_totals (organization_id, account_id, payer, currency, period_start, amount)
        values ('10000000-0000-7000-8000-000000000001', '10000000-0000-7000-8000-000000000043', 'organization', 'EUR', '2026-03-01', 0)"),
    ("usage_thresholds", "insert into usage_thresholds (id, payer, kind, at) values (gen_random_uuid(), 'organization', 'cap', 1000)"),
    ("call_reservations", "insert into call_reservations (organization_id, authorization_id, account_id, payer, zone, period_start, expires_at)
        values ('10000000-0000-7000-8000-000000000001', '10000000-0000-7000-8000-000000000172', '10000000-0000-7000-8000-000000000043', 'organization', 'UTC', now(), now())"),
    ("invoice_lines", "insert into invoice_lines (id, invoice_id, position, line_group, description, quantity, unit, amount_numerator, amount_denominator, amount_minor, starts_at, ends_at)
        values (gen_random_uuid(), '10000000-0000-7000-8000-000000000116', 1, 'x', 'x', 1, 'x', -100, 1, -10000, now(), now())"),
    ("invoice_taxes", "insert into invoice_taxes (organization_id, invoice_id, percent, inclusive, base_minor, tax_minor)
        values ('10000000-0000-7000-8000-000000000001', '10000000-0000-7000-8000-000000000116', 0, false, 0, 0)"),
    ("payment_allocations", "insert into payment_allocations (id, payment_id, invoice_id, amount_minor)
        values (gen_random_uuid(), '10000000-0000-7000-8000-000000000146', '10000000-0000-7000-8000-000000000113', 1)"),
    ("transfers", "insert into transfers (id, entry_id, debit_account_id, credit_account_id, amount_minor, currency)
        values (gen_random_uuid(), '10000000-0000-7000-8000-000000000153', '10000000-0000-7000-8000-000000000151', '10000000-0000-7000-8000-000000000150', 1, 'USD')"),
];

#[tokio::test]
async fn an_admin_only_reads_what_the_platform_sells_them() {
    let app = Fixture::filled().await;
    let mut owner = app.owner().await;
    let admin = actor("admin", 1);
    for (table, insert) in PLATFORM_ROWS {
        assert_eq!(
            attempt(&app, &admin, insert.to_owned()).await,
            Err("42501".to_owned()),
            "{table}"
        );
        for verb in ["update", "delete"] {
            let statement = match verb {
                "update" => {
                    format!("update {table} set payer = payer where payer = 'organization'")
                }
                _ => format!("delete from {table} where payer = 'organization'"),
            };
            let changed = attempt(&app, &admin, statement).await;
            let is_refused = match &changed {
                Ok(rows) => *rows == 0,
                Err(code) => ["42501", "23001"].contains(&code.as_str()),
            };
            assert!(is_refused, "{verb} {table}: {changed:?}");
        }
    }
    // Every table that says whose sale a row belongs to is among them; charges and what hangs on them are guarded by
    // the draft that they need.
    let with_payer = strings(&mut owner, "select table_name::text from information_schema.columns
        join information_schema.tables using (table_schema, table_name)
        where table_schema = 'public' and table_type = 'BASE TABLE' and column_name = 'payer' and table_name <> 'charges'
        order by 1").await;
    let mut tried: Vec<&str> = PLATFORM_ROWS.iter().map(|(table, _)| *table).collect();
    tried.sort_unstable();
    assert_eq!(with_payer, tried);
}

#[tokio::test]
async fn a_row_of_one_sale_never_belongs_to_a_parent_of_the_other() {
    let app = Fixture::filled().await;
    let (platform, admin) = (Actor::system(), actor("admin", 1));
    for (who, statement) in [
        (&admin, "insert into credit_notes (id, invoice_id, payer, customer_id, number, number_year, number_seq, reason, currency, subtotal_minor, tax_minor, total_minor)
            values (gen_random_uuid(), '10000000-0000-7000-8000-000000000113', 'customer', '10000000-0000-7000-8000-000000000051', 'x', 2026, 99, 'x', 'USD', 1, 0, 1)"),
        (&admin, "insert into payment_allocations (id, payment_id, invoice_id, amount_minor)
            values (gen_random_uuid(), '10000000-0000-7000-8000-000000000145', '10000000-0000-7000-8000-000000000113', 1)"),
        (&admin, "insert into transfers (id, entry_id, debit_account_id, credit_account_id, amount_minor, currency)
            values (gen_random_uuid(), '10000000-0000-7000-8000-000000000152', '10000000-0000-7000-8000-000000000151', '10000000-0000-7000-8000-000000000150', 1, 'USD')"),
        (&admin, "update allowance_grants set account_id = '10000000-0000-7000-8000-000000000043' where account_id = '10000000-0000-7000-8000-000000000041'"),
        (&admin, "update wallets set account_id = '10000000-0000-7000-8000-000000000043', currency = 'EUR' where account_id = '10000000-0000-7000-8000-000000000041'"),
        (&platform, "update allowance_grants set payer = 'customer' where organization_id = '10000000-0000-7000-8000-000000000001' and payer = 'organization'"),
    ] {
        let refused = attempt(&app, who, statement.to_owned()).await;
        assert_eq!(refused, Err("23503".to_owned()), "{statement}");
    }
}
