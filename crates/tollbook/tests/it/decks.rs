//! Price decks: calls are charged by the longest prefix in the version that is in force at their time; what a new version
//! changes is told first, and rated again where it reaches back.

use std::fmt::Write as _;
use std::process::Command;

use jiff::SignedDuration;
use jiff_sqlx::ToSqlx as _;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tollbook_core::ids::CallId;
use uuid::Uuid;

use crate::support::{Answer, Firm, NewUsage, TestApp, at};

const WORLD: &str = "/api/admin/price-decks/world";

/// A firm that sells calls by destination.
struct World {
    app: TestApp,
    firm: Firm,
    integration: Uuid,
}

impl World {
    /// With a deck in force since the beginning of 2026, and a customer who pays by the call.
    async fn new() -> Self {
        let app = TestApp::quiet().await;
        let firm = app.firm_with_customer().await;
        let world = Self {
            app,
            firm,
            integration: Uuid::now_v7(),
        };
        let mut tx = world.app.platform().await;
        sqlx::query(
            "insert into integrations (id, organization_id, provider) values ($1, $2, 'openphone')",
        )
        .bind(world.integration)
        .bind(world.firm.acme.id.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let deck =
            "prefix,price,connection_fee,increment\n44,0.02,,\n4420,0.03,0.10,30/30\n1,0.01,,\n";
        world
            .import("effectiveFrom=2026-01-01T00:00:00Z&name=The%20world", deck)
            .await
            .expect(201);
        let plan = json!({"name": "Abroad", "kind": "pay_per_call", "currency": "USD", "prices": [{"key": "out",
            "meter": "CALL_DURATION_SECONDS", "direction": "outgoing", "increment": "60/60", "rate": {"deck": {"deck": "world", "per": 60}}}]});
        let plan = world
            .app
            .plan(&world.firm.admin, &world.firm.acme, &plan)
            .await;
        world
            .app
            .pay_per_call(&world.firm.acme, plan, at("2026-01-01T00:00:00Z"))
            .await;
        world
    }

    async fn import(&self, query: &str, csv: &str) -> Answer {
        let ask = self.app.post(&format!("{WORLD}/import?{query}"));
        let ask = ask.user(&self.firm.admin).organization(&self.firm.acme);
        ask.body("text/csv", csv).send().await
    }

    /// Dana is called or calls abroad.
    async fn call(&self, number: &str, seconds: i64, started_at: &str) -> NewUsage {
        let (call, started_at) = (CallId::from(Uuid::now_v7()), at(started_at));
        let mut tx = self.app.platform().await;
        sqlx::query(
            "insert into calls (organization_id, id, provider, conversation_sid, integration_id, direction, state, outcome, external_party,
                 started_at, answered_at, ended_at, billable_seconds, customer_id)
             values ($1, $2, 'openphone', 'AC' || $2::uuid, $3, 'outgoing', 'ended', 'answered', $4, $5, $5, $6, $7, $8)",
        )
        .bind(self.firm.acme.id.uuid())
        .bind(call.uuid())
        .bind(self.integration)
        .bind(number)
        .bind(started_at.to_sqlx())
        .bind((started_at + SignedDuration::from_secs(seconds)).to_sqlx())
        .bind(seconds)
        .bind(self.firm.dana.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        let usage = NewUsage {
            call: Some(call),
            ..NewUsage::call(self.firm.dana, seconds, started_at)
        };
        self.app
            .record(&self.firm.acme, std::slice::from_ref(&usage))
            .await;
        usage
    }

    /// What is in force, call by call.
    async fn charged(&self) -> Vec<String> {
        self.app
            .texts(
                "select concat_ws(' ', k.external_party, string_agg(concat_ws('/', c.kind, trim_scale(c.amount), c.trace #>> '{destination,prefix}'), ' ' order by c.part))
                 from charges c join calls k on k.id = c.call_id
                 where c.reverses_id is null and not exists (select from charges r where r.reverses_id = c.id)
                 group by k.id, k.external_party, k.started_at order by k.started_at",
            )
            .await
    }

    /// What `verify` finds of charges and decks; calls that tests make have no legs.
    async fn found(&self) -> Vec<String> {
        let report = self.app.app.verify(|_| {}).await.unwrap();
        let differences = report.differences.iter();
        let differences = differences.filter(|it| {
            ["charges", "deck_versions", "invoices", "rating_queue"].contains(&it.table.as_str())
        });
        differences
            .map(|it| format!("{} {}: {} not {}", it.table, it.what, it.expected, it.found))
            .collect()
    }

    async fn preview(&self, csv: &str) -> Value {
        self.import("preview=true", csv).await.expect(200)
    }
}

#[tokio::test]
async fn a_call_is_charged_by_the_longest_prefix_in_force_at_its_time() {
    let world = World::new().await;
    let next = "prefix,price\n44,0.05\n1,0.01\n";
    world
        .import("effectiveFrom=2026-03-01T00:00:00Z", next)
        .await
        .expect(201);
    world
        .call("+442072193000", 61, "2026-02-01T10:00:00Z")
        .await;
    world
        .call("+441612345678", 61, "2026-02-28T23:59:59Z")
        .await;
    world
        .call("+442072193000", 61, "2026-03-01T00:00:00Z")
        .await;
    world.app.settle().await;
    let expected = [
        "+442072193000 usage/0.045/4420 connection/0.1",
        "+441612345678 usage/0.04/44",
        "+442072193000 usage/0.1/44",
    ];
    assert_eq!(world.charged().await, expected);
    // Rated again, each still finds the price of its time.
    world.app.queue_again(&world.firm.acme).await;
    world.app.settle().await;
    assert_eq!(world.charged().await, expected);
    assert_eq!(
        world
            .app
            .count("select count(*) from charges where reverses_id is not null")
            .await,
        0
    );
    assert_eq!(world.found().await, Vec::<String>::new());
    let versions = world
        .app
        .read(&world.firm, &format!("{WORLD}/versions"))
        .await;
    let versions: Vec<_> = versions["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["version"], it["entries"]))
        .collect();
    assert_eq!(versions, ["2 2", "1 3"]);
    let listed = world.app.read(&world.firm, "/api/admin/price-decks").await;
    assert_eq!(
        (
            &listed["data"][0]["key"],
            &listed["data"][0]["name"],
            &listed["data"][0]["versions"]
        ),
        (&json!("world"), &json!("The world"), &json!(2))
    );
    // What is exported is what was in force, and can be imported again.
    let export = world
        .app
        .get(&format!("{WORLD}/export?at=2026-02-01T00:00:00Z"));
    let export = export
        .user(&world.firm.admin)
        .organization(&world.firm.acme)
        .send()
        .await;
    assert_eq!(
        export.text,
        "prefix,price,connection_fee,increment\r\n1,0.01,,\r\n44,0.02,,\r\n4420,0.03,0.1,30/30\r\n"
    );
    let unchanged = world
        .import(
            "preview=true&effectiveFrom=2026-02-01T00:00:00Z",
            &export.text,
        )
        .await;
    let unchanged = unchanged.expect(200);
    assert_eq!(
        (
            &unchanged["addedCount"],
            &unchanged["removedCount"],
            &unchanged["changedCount"]
        ),
        (&json!(0), &json!(0), &json!(0))
    );
}

#[tokio::test]
async fn what_has_no_price_waits_and_an_import_that_has_it_lets_it_go_on() {
    let world = World::new().await;
    world.call("+4930123456", 30, "2026-02-20T10:00:00Z").await;
    world
        .call("+442072193000", 30, "2026-02-20T11:00:00Z")
        .await;
    world.app.settle().await;
    assert_eq!(
        world.charged().await,
        ["+442072193000 usage/0.015/4420 connection/0.1"]
    );
    let waits = "select last_error from rating_queue where parked_at is not null";
    assert_eq!(
        world.app.texts(waits).await,
        ["price deck `world` has no price for the destination"]
    );
    // A price from now on is none for a call of the past.
    let whole = "prefix,price\n44,0.02\n49,0.07\n";
    world.import("", whole).await.expect(201);
    world.app.settle().await;
    assert_eq!(world.app.texts(waits).await.len(), 1);
    // One for then is, and what was charged since then follows it too: taken back, and charged anew.
    world
        .import("effectiveFrom=2026-02-01T00:00:00Z", whole)
        .await
        .expect(201);
    world.app.settle().await;
    assert_eq!(
        world.charged().await,
        ["+4930123456 usage/0.07/49", "+442072193000 usage/0.02/44"]
    );
    assert_eq!(
        world.app.count("select count(*) from rating_queue").await,
        0
    );
    let net = "select trim_scale(sum(amount))::text from charges";
    assert_eq!(world.app.texts(net).await, ["0.09"]);
    assert_eq!(world.found().await, Vec::<String>::new());
}

#[tokio::test]
async fn prices_that_change_places_are_charged_each_to_its_own() {
    let world = World::new().await;
    world.call("+12025550111", 60, "2026-02-20T10:00:00Z").await;
    world
        .call("+441612345678", 60, "2026-02-20T11:00:00Z")
        .await;
    world.app.settle().await;
    // Together they come to the same, which must not keep either at the price of the other.
    let swapped = "prefix,price\n44,0.01\n1,0.02\n";
    world
        .import("effectiveFrom=2026-02-01T00:00:00Z", swapped)
        .await
        .expect(201);
    world.app.settle().await;
    assert_eq!(
        world.charged().await,
        ["+12025550111 usage/0.02/1", "+441612345678 usage/0.01/44"]
    );
    assert_eq!(world.found().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_preview_tells_what_changes_in_the_deck_and_in_money() {
    let world = World::new().await;
    world
        .call("+12025550111", 600, "2026-01-10T10:00:00Z")
        .await;
    for (number, day) in [
        ("+12025550111", "2026-02-10"),
        ("+442072193000", "2026-02-11"),
        ("+441612345678", "2026-02-12"),
        ("+4930123456", "2026-02-13"),
    ] {
        world.call(number, 120, &format!("{day}T10:00:00Z")).await;
    }
    world.app.settle().await;
    let before = world.charged().await;
    let preview = world
        .preview("prefix,price\n1,0.01\n44,0.04\n49,0.06\n")
        .await;
    let prefixes = |name: &str| -> Vec<String> {
        let entries = preview[name].as_array().unwrap().iter();
        entries
            .map(|it| it["prefix"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        (prefixes("added"), prefixes("removed"), prefixes("changed")),
        (
            vec!["49".to_owned()],
            vec!["4420".to_owned()],
            vec!["44".to_owned()]
        )
    );
    assert_eq!(
        (
            &preview["changed"][0]["before"]["price"],
            &preview["changed"][0]["after"]["price"]
        ),
        (&json!("0.02"), &json!("0.04"))
    );
    let usage = &preview["usage"];
    // Of the last thirty days: 0.02 to America, 0.06 + 0.10 to London, 0.04 to Manchester; then 0.02, 0.08, 0.08, and 0.12
    // to Berlin, which had no price.
    assert_eq!(
        (
            &usage["totals"][0]["before"],
            &usage["totals"][0]["after"],
            &usage["totals"][0]["difference"]
        ),
        (&json!("0.22"), &json!("0.30"), &json!("0.08"))
    );
    assert_eq!(
        (
            &usage["unpricedBefore"],
            &usage["unpricedAfter"],
            &usage["count"],
            &usage["isComplete"]
        ),
        (&json!(1), &json!(0), &json!(4), &json!(true))
    );
    let mut by_prefix: Vec<String> = usage["prefixes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            format!(
                "{} {} {}",
                it["prefix"].as_str().unwrap(),
                it["before"].as_str().unwrap(),
                it["after"].as_str().unwrap()
            )
        })
        .collect();
    by_prefix.sort();
    assert_eq!(
        by_prefix,
        [
            "1 0.02 0.02",
            "44 0.04 0.16",
            "4420 0.16 0.00",
            "49 0.00 0.12"
        ]
    );
    // Nothing was written.
    assert_eq!(world.charged().await, before);
    assert_eq!(
        world.app.count("select count(*) from deck_versions").await,
        1
    );
    // What it foretold is what is charged once it is in force for that time.
    world
        .import(
            "effectiveFrom=2026-01-31T00:00:00Z",
            "prefix,price\n1,0.01\n44,0.04\n49,0.06\n",
        )
        .await
        .expect(201);
    world.app.settle().await;
    let since =
        "select trim_scale(sum(amount))::text from charges where occurred_at >= '2026-02-01Z'";
    assert_eq!(world.app.texts(since).await, ["0.3"]);
}

#[tokio::test]
async fn what_is_wrong_in_a_file_is_named_by_line_and_column() {
    let world = World::new().await;
    for (csv, expected) in [
        (
            "prefix,price\n44,0.02\n49,cheap\n",
            "the file: line 3, column 2 (`price`)",
        ),
        (
            "prefix,price\n44,-1\n",
            "the file: line 2: a price must not be negative",
        ),
        (
            "prefix,cost\n44,1\n",
            "the file: line 1, column 2: unknown column `cost`",
        ),
        ("prefix,price\n", "has no entries"),
    ] {
        let refused = world.import("", csv).await.expect(422);
        let error = &refused["errors"][0];
        assert_eq!(error["field"], "file");
        assert!(
            error["message"].as_str().unwrap().starts_with(expected),
            "{error}"
        );
    }
    let path = format!("{WORLD}/import");
    let ask = world
        .app
        .post(&path)
        .user(&world.firm.admin)
        .organization(&world.firm.acme);
    ask.json(&json!({})).send().await.expect(415);
    let (foreign, admin) = world.app.firm().await;
    for path in [format!("{WORLD}/versions"), format!("{WORLD}/export")] {
        let ask = world.app.get(&path).user(&admin).organization(&foreign);
        ask.send().await.expect(404);
    }
    assert_eq!(
        world.app.count("select count(*) from deck_versions").await,
        1
    );
}

#[tokio::test]
async fn what_was_in_force_stays_and_what_is_wrong_is_found() {
    let world = World::new().await;
    world
        .call("+442072193000", 61, "2026-02-01T10:00:00Z")
        .await;
    world.app.settle().await;
    for (change, refused) in [
        (
            "update deck_entries set price = 1",
            "deck_entries_append_only",
        ),
        ("delete from deck_entries", "deck_entries_append_only"),
        (
            "update deck_versions set effective_from = now()",
            "deck_versions_append_only",
        ),
        (
            "insert into deck_entries (seller_id, version_id, prefix, price) select seller_id, id, '7', 1 from deck_versions",
            "deck_entries_append_only",
        ),
    ] {
        assert_eq!(
            world.app.refusal(change.to_owned()).await,
            refused,
            "{change}"
        );
    }
    assert_eq!(world.found().await, Vec::<String>::new());
    for (wrong, expected) in [
        (
            "update deck_entries set price = 0.04 where prefix = '4420'",
            vec!["charges price of the deck world: 0.04 not 0.03"],
        ),
        (
            "delete from deck_entries where prefix = '4420'",
            vec![
                "deck_versions entry_count: 2 not 3",
                "charges price of the deck world: 0.02 not 0.03",
            ],
        ),
    ] {
        let mut owner = PgConnection::connect(world.app.superuser_url())
            .await
            .unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "set session_replication_role = replica; {wrong}"
        )))
        .execute(&mut owner)
        .await
        .unwrap();
        assert_eq!(world.found().await, expected, "{wrong}");
        owner.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_is_asked_for_lasts_by_the_price_of_its_destination() {
    let world = World::new().await;
    let nearer = "prefix,price,connection_fee,increment\n4420,0.03,0.10,30/30\n";
    world
        .import("effectiveFrom=2026-03-01T00:00:00Z", nearer)
        .await
        .expect(201);
    let (london, washington) = ("+442072193000", "+12025550123");
    world.app.number(&world.firm.acme, "+12125550100").await;
    for number in [london, washington] {
        let numbers = format!("/api/customers/{}/numbers", world.firm.dana);
        let body = json!({"phoneNumber": number});
        world
            .app
            .posted(&world.firm, &numbers, &body)
            .await
            .expect(201);
    }
    let wallet = json!({"customerId": world.firm.dana});
    let wallet = world
        .app
        .posted(&world.firm, "/api/admin/wallets", &wallet)
        .await
        .expect(201);
    let movements = format!(
        "/api/admin/wallets/{}/movements",
        wallet["id"].as_str().unwrap()
    );
    let top_up = json!({"kind": "top_up", "amount": "0.20", "reference": "transfer"});
    world
        .app
        .posted(&world.firm, &movements, &top_up)
        .await
        .expect(201);
    let asked = async |to: &str| {
        let body = json!({"key": to, "direction": "outgoing", "from": "+12125550100", "to": to, "seconds": 3600});
        world
            .app
            .posted(&world.firm, "/api/calls/authorize", &body)
            .await
    };
    let refused = asked(washington).await.expect(422);
    assert_eq!(refused["errors"][0]["field"], "to", "{refused}");
    // Ten of the twenty cents are for the connection, and each half minute costs one and a half.
    let long = asked(london).await.expect(201);
    assert_eq!(long["seconds"], 180, "{long}");
}

#[tokio::test]
async fn the_command_tells_what_changes_and_imports() {
    let world = World::new().await;
    world
        .call("+442072193000", 60, "2026-02-20T10:00:00Z")
        .await;
    world.app.settle().await;
    let (folder, database) = (tempfile::tempdir().unwrap(), world.app.database());
    let organization = world.firm.acme.id.to_string();
    let run = |csv: &str, more: &[&str]| {
        std::fs::write(folder.path().join("world.csv"), csv).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_tollbook"))
            .env_clear()
            .env("DATABASE_URL", &database.url)
            .env("TOLLBOOK_DATA_DIR", folder.path())
            .current_dir(folder.path())
            .args([
                "deck",
                "import",
                "world",
                "world.csv",
                "--org",
                &organization,
            ])
            .args(more)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let next = "prefix,price\n44,0.05\n1,0.01\n";
    let (code, told, _) = run(next, &["--from", "2026-02-01T00:00:00Z", "--preview"]);
    assert_eq!(code, Some(0), "{told}");
    let expected = "world: 2 entries, in force from 2026-02-01T00:00:00Z
0 added, 1 removed, 1 changed
  - 4420 0.03
  44 0.02 -> 0.05
";
    assert!(told.starts_with(expected), "{told}");
    assert_eq!(
        world.app.count("select count(*) from deck_versions").await,
        1
    );
    let (code, told, _) = run(next, &["--from", "2026-02-01T00:00:00Z"]);
    assert_eq!(
        (code, told.as_str()),
        (
            Some(0),
            "world version 2: 2 entries, in force from 2026-02-01T00:00:00Z\n"
        )
    );
    world.app.settle().await;
    assert_eq!(world.charged().await, ["+442072193000 usage/0.05/44"]);
    let (code, _, why) = run("prefix,price\n44,much\n", &[]);
    assert_eq!(code, Some(1));
    assert!(
        why.contains("world.csv: line 2, column 2 (`price`)"),
        "{why}"
    );
}

#[tokio::test]
async fn a_deck_of_a_hundred_thousand_prefixes_is_imported_and_rated_by() {
    let world = World::new().await;
    let mut csv = "prefix,price\n44,0.02\n1,0.01\n".to_owned();
    for n in 0..100_000 {
        writeln!(csv, "7{n:06},0.0{}", 1 + n % 9).unwrap();
    }
    let made = world
        .import("effectiveFrom=2026-02-01T00:00:00Z", &csv)
        .await
        .expect(201);
    assert_eq!(made["entries"], 100_002);
    for n in 0..5_i64 {
        world
            .call(&format!("+7{:06}1234", 31 * n), 60, "2026-02-20T10:00:00Z")
            .await;
    }
    world.app.settle().await;
    assert_eq!(world.charged().await.len(), 5);
    assert_eq!(world.found().await, Vec::<String>::new());
}
