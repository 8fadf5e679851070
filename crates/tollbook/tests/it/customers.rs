//! Customers: made, changed, found, listed, and shown.

use scraper::{Html, Selector};
use serde_json::{Value, json};

use crate::support::{Organization, TestApp, User};

async fn create(app: &TestApp, by: &User, body: Value) -> Value {
    app.post("/api/customers")
        .user(by)
        .json(&body)
        .send()
        .await
        .expect(201)
}

async fn found(app: &TestApp, by: &User, query: &str) -> Vec<String> {
    let list = app
        .get(&format!("/api/customers?{query}"))
        .user(by)
        .send()
        .await
        .expect(200);
    let rows = list["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn acme(app: &TestApp) -> (Organization, User, User) {
    let acme = app.organization("Acme").await;
    let (admin, member) = (app.admin(&acme).await, app.member(&acme).await);
    (acme, admin, member)
}

#[tokio::test]
async fn a_customer_is_made_changed_and_read() {
    let app = TestApp::start().await;
    let (_, admin, member) = acme(&app).await;
    let made = create(&app, &admin, json!({
        "name": " Dana Whitfield ", "email": "dana@northwind.example", "phone_numbers": ["(202) 555-0100", "+49 30 901820"],
        "externalKey": "qb-7", "taxPercent": 8.875
    })).await;
    assert_eq!(made["name"], "Dana Whitfield");
    assert_eq!(made["phoneNumbers"], json!(["+12025550100", "+4930901820"]));
    assert_eq!(
        (&made["taxPercent"], &made["balance"], &made["subscription"]),
        (&json!("8.875"), &json!([]), &Value::Null)
    );
    let path = format!("/api/customers/{}", made["id"].as_str().unwrap());
    assert_eq!(app.get(&path).user(&member).send().await.expect(200), made);

    let change = json!({"email": null, "taxExempt": true, "phoneNumbers": ["2025550101"]});
    app.request(reqwest::Method::PATCH, &path)
        .user(&member)
        .json(&change)
        .send()
        .await
        .expect(403);
    let changed = app
        .request(reqwest::Method::PATCH, &path)
        .user(&admin)
        .json(&change)
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&changed["name"], &changed["email"], &changed["taxExempt"]),
        (&made["name"], &Value::Null, &json!(true))
    );
    assert_eq!(changed["phoneNumbers"].as_array().unwrap().len(), 3);
    assert_eq!(app.count("select count(*) from audit_log where action in ('customer.created', 'customer.changed')").await, 2);

    let again = app
        .post("/api/customers")
        .user(&admin)
        .json(&json!({"name": "B", "externalKey": "qb-7"}))
        .send()
        .await;
    assert_eq!(again.expect(409)["code"], "external_key_taken");
    let bad = json!({"name": "C", "email": "nobody", "zone": "Mars/Base", "country": "usa", "taxPercent": "101"});
    let refused = app
        .post("/api/customers")
        .user(&admin)
        .json(&bad)
        .send()
        .await
        .expect(422);
    let fields: Vec<_> = refused["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["field"].clone())
        .collect();
    assert_eq!(fields, ["email", "zone", "country", "taxPercent"]);
    let bad = app
        .post("/api/customers")
        .user(&admin)
        .json(&json!({"name": "C", "phoneNumbers": ["+12025550100", "12"]}))
        .send()
        .await;
    assert_eq!(bad.expect(422)["errors"][0]["field"], "phoneNumbers[1]");
    app.post("/api/customers")
        .user(&admin)
        .json(&json!({"name": " "}))
        .send()
        .await
        .expect(422);
    assert_eq!(
        app.count("select count(*) from customers").await,
        1,
        "what is refused leaves nothing"
    );
}

#[tokio::test]
async fn customers_are_found_by_any_word_and_any_form_of_a_number() {
    let app = TestApp::start().await;
    let (_, admin, member) = acme(&app).await;
    let stranger = {
        let globex = app.organization("Globex").await;
        app.admin(&globex).await
    };
    create(
        &app,
        &admin,
        json!({"name": "Dana Whitfield", "phoneNumbers": ["+12024561111"]}),
    )
    .await;
    create(
        &app,
        &admin,
        json!({"name": "Danish Whitman", "email": "office@harbor.example"}),
    )
    .await;
    create(&app, &admin, json!({"name": "Zoë O'Brien"})).await;
    create(
        &app,
        &stranger,
        json!({"name": "Dana Elsewhere", "phoneNumbers": ["+12024561111"]}),
    )
    .await;
    for who in [&admin, &member] {
        for (query, names) in [
            ("q=whit", &["Dana Whitfield", "Danish Whitman"][..]),
            ("q=dan+whitm", &["Danish Whitman"]),
            ("q=%28202%29+456-11", &["Dana Whitfield"]),
            ("q=%2B1202", &["Dana Whitfield"]),
            ("q=1111", &["Dana Whitfield"]),
            ("q=harbor", &["Danish Whitman"]),
            ("q=ZO%C3%8B", &["Zoë O'Brien"]),
            ("q=nobody", &[]),
            ("q=%25", &[]),
            ("", &["Dana Whitfield", "Danish Whitman", "Zoë O'Brien"]),
        ] {
            assert_eq!(found(&app, who, query).await, names, "{query}");
        }
    }
    // A new name replaces the old one; a contact makes the customer findable.
    let zoe = app
        .get("/api/customers?q=brien")
        .user(&admin)
        .send()
        .await
        .expect(200)["data"][0]
        .clone();
    let path = format!("/api/customers/{}", zoe["id"].as_str().unwrap());
    app.request(reqwest::Method::PATCH, &path)
        .user(&admin)
        .json(&json!({"name": "Zoe Petersen"}))
        .send()
        .await
        .expect(200);
    app.post(&format!("{path}/contacts"))
        .user(&admin)
        .json(&json!({"name": "Ruth Adeyemi", "role": "office"}))
        .send()
        .await
        .expect(201);
    assert!(found(&app, &admin, "q=brien").await.is_empty());
    assert_eq!(found(&app, &admin, "q=adeyemi").await, ["Zoe Petersen"]);
    let contacts = app
        .get("/api/contacts")
        .user(&member)
        .send()
        .await
        .expect(200);
    assert_eq!(
        (
            &contacts["data"][0]["name"],
            &contacts["data"][0]["customerId"]
        ),
        (&json!("Ruth Adeyemi"), &zoe["id"])
    );
    let path = format!("/api/contacts?customerId={}", zoe["id"].as_str().unwrap());
    let sheet = app
        .get(&path)
        .user(&member)
        .header("accept", "text/csv")
        .send()
        .await;
    assert_eq!(sheet.header("content-type"), "text/csv; charset=utf-8");
    let mut reader = csv::Reader::from_reader(sheet.text.as_bytes());
    assert_eq!(
        reader.headers().unwrap(),
        vec!["id", "customerId", "name", "email", "role", "createdAt"]
    );
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let contact = &contacts["data"][0];
    assert_eq!(rows.len(), 1);
    assert_eq!(&rows[0][0], contact["id"].as_str().unwrap());
    assert_eq!((&rows[0][2], &rows[0][4]), ("Ruth Adeyemi", "office"));
}

#[tokio::test]
async fn pages_and_csv_hold_every_customer_once() {
    let app = TestApp::start().await;
    let (acme, admin, _) = acme(&app).await;
    let mut tx = app.platform().await;
    sqlx::query(
        "with made as (select gen_random_uuid() as id, n from generate_series(1, 2300) n),
         a as (insert into accounts (organization_id, id, payer) select $1, id, 'customer' from made),
         c as (insert into customers (organization_id, id, account_id, name) select $1, id, id, case when n % 7 = 0 then '' else '=cmd ' || n % 100 end from made)
         insert into search_terms (organization_id, term, kind, id)
            select $1, t, 'customer', id from made cross join unnest(array['shared', 'shard']) t",
    )
    .bind(acme.id.uuid())
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    for query in ["limit=200", "limit=200&q=sha"] {
        let mut ids = Vec::new();
        let mut cursor = String::new();
        loop {
            let list = app
                .get(&format!("/api/customers?{query}{cursor}"))
                .user(&admin)
                .send()
                .await
                .expect(200);
            ids.extend(
                list["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|it| it["id"].to_string()),
            );
            match list["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((all, ids.len()), (2300, 2300), "{query}");
    }
    let csv = app
        .get("/api/customers")
        .user(&admin)
        .header("accept", "text/csv")
        .send()
        .await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let mut reader = csv::Reader::from_reader(csv.text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2300);
    assert_eq!(
        rows.iter()
            .filter(|row| row[2].starts_with("'=cmd"))
            .count(),
        2300 - 2300 / 7,
        "no formula"
    );
    assert!(rows.last().unwrap()[2].is_empty(), "the nameless come last");
}

#[tokio::test]
async fn notes_are_written_by_anyone_at_the_phones() {
    let app = TestApp::start().await;
    let (acme, admin, member) = acme(&app).await;
    let customer = app.customer(&acme, "Dana").await;
    let path = format!("/api/customers/{customer}/notes");
    app.post(&path)
        .user(&member)
        .json(&json!({"text": " Call back after 4 pm. "}))
        .send()
        .await
        .expect(201);
    app.post(&path)
        .user(&admin)
        .json(&json!({"text": "Done."}))
        .send()
        .await
        .expect(201);
    for (text, message) in [
        (" ".to_owned(), "must not be empty"),
        ("x".repeat(4001), "must have at most 4000 characters"),
    ] {
        let refused = app
            .post(&path)
            .user(&member)
            .json(&json!({"text": text}))
            .send()
            .await
            .expect(422);
        assert_eq!(
            refused["errors"][0],
            json!({"field": "text", "message": message})
        );
    }
    let notes = app.get(&path).user(&member).send().await.expect(200);
    let texts: Vec<_> = notes["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["text"].clone())
        .collect();
    assert_eq!(texts, ["Done.", "Call back after 4 pm."]);
    assert_eq!(notes["data"][1]["author"], "Test User");
    let globex = app.organization("Globex").await;
    let stranger = app.admin(&globex).await;
    app.post(&path)
        .user(&stranger)
        .json(&json!({"text": "x"}))
        .send()
        .await
        .expect(404);
    app.get(&path).user(&stranger).send().await.expect(404);
}

#[tokio::test]
async fn the_number_of_a_prospect_makes_them_the_customer() {
    let app = TestApp::start().await;
    let (acme, admin, _) = acme(&app).await;
    let prospect = app.customer(&acme, "").await;
    let mut tx = app.platform().await;
    for statement in [
        "update customers set kind = 'prospect' where organization_id = $1 and id = $2",
        "insert into customer_numbers (organization_id, id, customer_id, e164) values ($1, gen_random_uuid(), $2, '+12024561111')",
        "insert into integrations (id, organization_id, provider) values ($2, $1, 'openphone')",
        "insert into calls (organization_id, id, provider, conversation_sid, integration_id, direction, state, customer_id, started_at)
         values ($1, gen_random_uuid(), 'openphone', 'AC1', $2, 'incoming', 'ringing', $2, '2026-03-01')",
    ] {
        sqlx::query(statement).bind(acme.id.uuid()).bind(prospect.uuid()).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    let dana = create(&app, &admin, json!({"name": "Dana"})).await;
    let numbers = format!("/api/customers/{}/numbers", dana["id"].as_str().unwrap());
    let given = app
        .post(&numbers)
        .user(&admin)
        .json(&json!({"phoneNumber": "202 456 1111"}))
        .send()
        .await
        .expect(201);
    assert_eq!(
        (&given["phoneNumber"], &given["startsAt"]),
        (&json!("+12024561111"), &Value::Null)
    );
    let again = app
        .post(&numbers)
        .user(&admin)
        .json(&json!({"phoneNumber": "+12024561111"}))
        .send()
        .await
        .expect(201);
    assert_eq!(again["id"], given["id"], "saying it again changes nothing");

    assert_eq!(
        found(&app, &admin, "").await,
        ["Dana"],
        "the prospect is nobody any more"
    );
    assert_eq!(found(&app, &admin, "q=4561111").await, Vec::<String>::new());
    assert_eq!(found(&app, &admin, "q=202456").await, ["Dana"]);
    let theirs = "select count(*) from calls c join customers k on k.id = c.customer_id where k.name = 'Dana'";
    assert_eq!(app.count(theirs).await, 1);

    // Another customer may have the number, too; from now on.
    let ruth = create(
        &app,
        &admin,
        json!({"name": "Ruth", "phoneNumbers": ["+12024561111"]}),
    )
    .await;
    let path = format!("/api/customers/{}/numbers", ruth["id"].as_str().unwrap());
    let shared = app.get(&path).user(&admin).send().await.expect(200);
    assert_eq!(shared["data"][0]["startsAt"], "2026-03-02T15:00:00Z");
    let one = format!("{numbers}/{}", given["id"].as_str().unwrap());
    app.request(reqwest::Method::DELETE, &one)
        .user(&admin)
        .send()
        .await
        .expect(204);
    app.request(reqwest::Method::DELETE, &one)
        .user(&admin)
        .send()
        .await
        .expect(404);
    assert_eq!(found(&app, &admin, "q=202456").await, ["Ruth"]);
}

fn texts(html: &str, selector: &str) -> Vec<String> {
    let document = Html::parse_document(html);
    let selector = Selector::parse(selector).unwrap();
    let found = document
        .select(&selector)
        .map(|it| it.text().collect::<String>());
    found
        .map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[tokio::test]
async fn the_pages_show_customers_and_take_notes_without_script() {
    let app = TestApp::start().await;
    let (acme, admin, member) = acme(&app).await;
    let dana = create(
        &app,
        &admin,
        json!({"name": "Dana <Whitfield>", "phoneNumbers": ["+12024561111"]}),
    )
    .await;
    subscribe(&app, &acme, dana["id"].as_str().unwrap()).await;
    create(&app, &admin, json!({"name": "Ruth"})).await;
    for who in [&admin, &member] {
        let (cookie, csrf) = app.sign_in(who).await;
        let list = app.get("/customers").browser().cookie(&cookie).send().await;
        assert_eq!(list.status, 200, "{}", list.text);
        assert_eq!(
            texts(&list.text, "#list a.name"),
            ["Dana <Whitfield>", "Ruth"]
        );
        assert_eq!(
            texts(&list.text, "#list .pill"),
            ["Subscriber", "Pay per call"]
        );
        assert_eq!(texts(&list.text, "#list .phone"), ["(202) 456-1111"]);
        let tab = app
            .get("/customers?tab=subscribers")
            .browser()
            .cookie(&cookie)
            .send()
            .await;
        assert_eq!(texts(&tab.text, "#list a.name"), ["Dana <Whitfield>"]);
        let part = app
            .get("/customers?q=ruth")
            .cookie(&cookie)
            .header("x-fragment", "list")
            .send()
            .await;
        assert!(
            part.text.trim_start().starts_with("<section id=\"list\""),
            "{}",
            part.text
        );
        assert_eq!(texts(&part.text, "a.name"), ["Ruth"]);

        let path = format!("/customers/{}", dana["id"].as_str().unwrap());
        let page = app.get(&path).browser().cookie(&cookie).send().await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert_eq!(texts(&page.text, "h1"), ["Dana <Whitfield>"]);
        assert_eq!(
            texts(&page.text, "dl.tiles .wide dd")[0]
                .split(" of")
                .next(),
            Some("7.5 hours left")
        );
        assert!(
            texts(&page.text, "dl.pairs dd").contains(&"$450.00 a month".to_owned()),
            "{}",
            page.text
        );
        assert!(texts(&page.text, "dl.pairs dd").contains(&"$1.20 per minute".to_owned()));

        let notes = format!("{path}/notes");
        let empty = app
            .post(&notes)
            .browser()
            .cookie(&cookie)
            .form(&[("csrf", &csrf), ("text", " ")])
            .send()
            .await;
        assert_eq!(empty.status, 422);
        assert_eq!(texts(&empty.text, "#note-problem"), ["must not be empty"]);
        let saved = app
            .post(&notes)
            .browser()
            .cookie(&cookie)
            .form(&[("csrf", &csrf), ("text", "Prefers mail")])
            .send()
            .await;
        assert_eq!(
            (saved.status, saved.header("location")),
            (303, format!("{path}#notes").as_str())
        );
        let forged = app
            .post(&notes)
            .browser()
            .cookie(&cookie)
            .form(&[("csrf", "x"), ("text", "no")])
            .send()
            .await;
        assert_eq!(forged.status, 403);
    }
    assert_eq!(app.count("select count(*) from customer_notes where body = 'Prefers mail' and created_by is not null").await, 2);
}

/// Ten hours a month for 450 dollars, of which two and a half are used.
async fn subscribe(app: &TestApp, organization: &Organization, customer: &str) {
    let mut tx = app.platform().await;
    let document = json!({
        "currency": "USD", "baseFee": "450",
        "prices": [{"key": "calls", "meter": "CALL_DURATION_SECONDS", "rate": {"per_unit": {"price": "1.2", "per": "60"}}},
            {"key": "texts", "meter": "SMS_SENT", "rate": {"per_unit": {"price": "0.1"}}}],
        "allowances": [{"key": "hours", "meters": ["CALL_DURATION_SECONDS"], "quantity": "36000"},
            {"key": "texts", "meters": ["SMS_SENT"], "quantity": "100"}],
    });
    let statements = [
        "insert into plans (seller_id, id, code, name, kind) values ($1, $2, 'support-10', 'Support 10', 'subscription')",
        "insert into plan_versions (seller_id, id, plan_id, version, state, currency, document, published_at) values ($1, $2, $2, 1, 'published', 'USD', $3, '2026-01-01')",
        "insert into subscriptions (organization_id, id, payer, customer_id, account_id, state, zone, anchor_on, interval_months, starts_at)
            select $1, $2, 'customer', $2, c.account_id, 'active', 'UTC', '2026-03-01', 1, '2026-03-01' from customers c where c.id = $2",
        "insert into subscription_segments (organization_id, id, subscription_id, seller_id, plan_version_id, starts_at) values ($1, $2, $2, $1, $2, '2026-03-01')",
        "insert into billing_periods (organization_id, id, subscription_id, starts_at, ends_at) values ($1, $2, $2, '2026-03-01', '2026-04-01')",
        "insert into allowance_grants (organization_id, id, account_id, subscription_id, allowance_key, granted, used, starts_at, expires_at)
            select $1, gen_random_uuid(), c.account_id, $2, k.key, k.granted, k.used, '2026-03-01', '2026-04-01' from customers c,
            (values ('hours', 36000, 9000), ('texts', 100, 0)) as k(key, granted, used) where c.id = $2",
    ];
    for statement in statements {
        let query = sqlx::query(statement)
            .bind(organization.id.uuid())
            .bind(customer.parse::<uuid::Uuid>().unwrap());
        let query = if statement.contains("$3") {
            query.bind(&document)
        } else {
            query
        };
        query.execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
}
