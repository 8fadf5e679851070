//! Numbers, who holds them, and who may use them (S0.10).

use jiff::SignedDuration;
use serde_json::{Value, json};
use tollbook_core::ids::PhoneNumberId;
use uuid::Uuid;

use crate::support::{Organization, TestApp, User};

async fn assign(
    app: &TestApp,
    by: &User,
    organization: &Organization,
    to: &User,
    numbers: &[PhoneNumberId],
) -> crate::support::Answer {
    let path = format!(
        "/api/orgs/{}/users/{}/phone-assignments",
        organization.id, to.id
    );
    let body = json!({"phoneNumberIds": numbers});
    app.post(&path).user(by).json(&body).send().await
}

fn e164s(list: &Value) -> Vec<&str> {
    let rows = list["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row["e164"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_member_sees_only_the_numbers_they_may_use() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let (admin, member, other) = (
        app.admin(&acme).await,
        app.member(&acme).await,
        app.member(&acme).await,
    );
    let first = app.number(&acme, "+12025550101").await;
    let second = app.number(&acme, "+12025550102").await;
    app.number(&acme, "+12025550103").await;

    let none = app
        .get("/api/numbers")
        .user(&member)
        .send()
        .await
        .expect(200);
    assert!(e164s(&none).is_empty(), "no assignment means no access");
    let given = assign(&app, &admin, &acme, &member, &[second, first])
        .await
        .expect(200);
    assert_eq!(e164s(&given), ["+12025550101", "+12025550102"]);

    let seen = app
        .get("/api/numbers")
        .user(&member)
        .send()
        .await
        .expect(200);
    assert_eq!(e164s(&seen), ["+12025550101", "+12025550102"]);
    let all = app
        .get("/api/numbers")
        .user(&admin)
        .send()
        .await
        .expect(200);
    assert_eq!(e164s(&all).len(), 3);
    assert_eq!(all["data"][0]["mappedAt"], "2026-03-02T15:00:00Z");
    let own = format!("/api/user/phone-assignments?orgId={}", acme.id);
    assert_eq!(
        e164s(&app.get(&own).user(&member).send().await.expect(200)).len(),
        2
    );
    assert!(e164s(&app.get(&own).user(&other).send().await.expect(200)).is_empty());

    let of_member = format!(
        "/api/orgs/{}/users/{}/phone-assignments",
        acme.id, member.id
    );
    for who in [&admin, &member] {
        assert_eq!(
            e164s(&app.get(&of_member).user(who).send().await.expect(200)).len(),
            2
        );
    }
    let refused = app.get(&of_member).user(&other).send().await.expect(403);
    assert_eq!(
        refused["error"],
        "only an admin may see the numbers of others"
    );
}

#[tokio::test]
async fn a_set_of_assignments_is_replaced_and_its_history_kept() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let (admin, member) = (app.admin(&acme).await, app.member(&acme).await);
    let first = app.number(&acme, "+12025550101").await;
    let second = app.number(&acme, "+12025550102").await;
    let before = assign(&app, &admin, &acme, &member, &[first, second])
        .await
        .expect(200);
    app.advance(SignedDuration::from_hours(1));
    let after = assign(&app, &admin, &acme, &member, &[second])
        .await
        .expect(200);
    assert_eq!(e164s(&after), ["+12025550102"]);
    assert_eq!(after["data"][0], before["data"][1], "what stays goes on");
    // The same set again changes nothing and is no deed.
    assert_eq!(
        assign(&app, &admin, &acme, &member, &[second])
            .await
            .expect(200),
        after
    );

    assert_eq!(
        app.count("select count(*) from assignments where ends_at = '2026-03-02T16:00:00Z'")
            .await,
        1
    );
    assert_eq!(
        app.count("select count(*) from audit_log where action = 'assignments.replaced'")
            .await,
        2
    );
    let viewers = "select count(*) from phone_numbers where viewer_ids = array[(select user_id from assignments where ends_at is null)]";
    assert_eq!(
        app.count(viewers).await,
        1,
        "the number itself says who may use it"
    );
}

#[tokio::test]
async fn only_numbers_and_users_of_the_organization_are_assigned() {
    let app = TestApp::start().await;
    let (acme, globex) = (
        app.organization("Acme").await,
        app.organization("Globex").await,
    );
    let (admin, member) = (app.admin(&acme).await, app.member(&acme).await);
    let stranger = app.member(&globex).await;
    let foreign = app.number(&globex, "+12025550199").await;
    let unknown = PhoneNumberId::from(Uuid::from_u128(1));
    for number in [foreign, unknown] {
        let refused = assign(&app, &admin, &acme, &member, &[number])
            .await
            .expect(403);
        assert_eq!(
            refused["error"],
            "Phone number not found or not owned by user"
        );
    }
    assign(&app, &admin, &acme, &stranger, &[])
        .await
        .expect(404);
    assign(&app, &member, &acme, &member, &[]).await.expect(403);
    assign(&app, &stranger, &acme, &member, &[])
        .await
        .expect(404);
    let path = format!(
        "/api/orgs/{}/users/{}/phone-assignments",
        acme.id, stranger.id
    );
    app.get(&path).user(&admin).send().await.expect(404);
    let bad = app
        .post(&path)
        .user(&admin)
        .json(&json!({"phoneNumberIds": ["x"]}))
        .send()
        .await;
    assert_eq!(bad.expect(422)["errors"][0]["field"], "phoneNumberIds[0]");
}

#[tokio::test]
async fn two_admins_at_once_leave_both_users_with_the_number() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let number = app.number(&acme, "+12025550101").await;
    let mut members = Vec::new();
    for _ in 0..6 {
        members.push(app.member(&acme).await);
    }
    let wanted = [number];
    let writes = members
        .iter()
        .map(|member| assign(&app, &admin, &acme, member, &wanted));
    for answer in futures_util::future::join_all(writes).await {
        answer.expect(200);
    }
    let missing = "select count(*) from assignments a join phone_numbers n on n.id = a.phone_number_id where a.user_id <> all (n.viewer_ids)";
    assert_eq!(app.count(missing).await, 0);
}

#[tokio::test]
async fn a_number_is_added_mapped_and_taken_over() {
    let app = TestApp::start().await;
    let (acme, globex) = (
        app.organization("Acme").await,
        app.organization("Globex").await,
    );
    let (platform, admin, other) = (
        app.platform_admin().await,
        app.admin(&acme).await,
        app.admin(&globex).await,
    );
    let member = app.member(&acme).await;
    let new = json!({"phone_number": "+12505551234", "provider": "twilio", "providerNumberSid": "PN00000000000000000000000000000001"});
    app.post("/api/admin/numbers")
        .user(&admin)
        .json(&new)
        .send()
        .await
        .expect(403);
    let number = app
        .post("/api/admin/numbers")
        .user(&platform)
        .json(&new)
        .send()
        .await
        .expect(201);
    assert_eq!(
        (
            &number["e164"],
            &number["country"],
            &number["organizationId"]
        ),
        (&json!("+12505551234"), &json!("CA"), &Value::Null)
    );
    let again = app
        .post("/api/admin/numbers")
        .user(&platform)
        .json(&new)
        .send()
        .await;
    assert_eq!(again.expect(409)["code"], "number_known");

    let mapping = format!("/api/numbers/{}/mapping", number["id"].as_str().unwrap());
    let map = |by: User| {
        let (app, mapping) = (&app, mapping.clone());
        async move {
            app.post(&mapping)
                .user(&by)
                .json(&json!({"number_type": "voice"}))
                .send()
                .await
        }
    };
    app.post(&mapping)
        .user(&member)
        .json(&json!({}))
        .send()
        .await
        .expect(403);
    let made = map(admin.clone()).await.expect(201);
    assert_eq!(
        (&made["updated"], &made["numberType"]),
        (&json!(false), &json!("voice"))
    );
    assert_eq!(made["organizationId"], json!(acme.id));
    let repeated = app
        .post(&mapping)
        .user(&admin)
        .json(&json!({"numberType": "both"}))
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&repeated["updated"], &repeated["id"]),
        (&json!(true), &made["id"])
    );
    // Counters stand at zero from the mapping on, for the calendar month (S3.2).
    assert_eq!(app.count("select count(*) from number_counters where period_start = '2026-03-01' and voice_calls = 0").await, 1);

    let id: PhoneNumberId = number["id"].as_str().unwrap().parse().unwrap();
    assign(&app, &admin, &acme, &member, &[id])
        .await
        .expect(200);
    let refused = map(other.clone()).await.expect(409);
    assert_eq!(
        (&refused["code"], &refused["detail"]),
        (
            &json!("number_mapped"),
            &json!("number `+12505551234` is already mapped to another organization")
        )
    );
    // At the very same instant, too: the clock stands still.
    let take = json!({"organizationId": globex.id});
    app.post(&mapping)
        .user(&admin)
        .json(&take)
        .send()
        .await
        .expect(404);
    app.post(&mapping)
        .user(&platform)
        .json(&take)
        .send()
        .await
        .expect(201);

    let seen = |by: User| {
        let app = &app;
        async move { e164s(&app.get("/api/numbers").user(&by).send().await.expect(200)).len() }
    };
    assert_eq!(
        (seen(admin).await, seen(member).await, seen(other).await),
        (0, 0, 1)
    );
    assert_eq!(
        app.count("select count(*) from assignments where ends_at is null")
            .await,
        0
    );
    assert_eq!(
        app.count("select count(*) from number_mappings where ends_at is not null")
            .await,
        1
    );
    assert_eq!(app.count("select count(*) from audit_log where action in ('number.added', 'number.mapped', 'number.taken')").await, 4);
}

#[tokio::test]
async fn a_list_that_has_not_changed_is_not_sent_again() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    app.number(&acme, "+12025550101").await;
    let first = app.get("/api/numbers").user(&admin).send().await;
    let tag = first.header("etag").to_owned();
    let again = app
        .get("/api/numbers")
        .user(&admin)
        .header("if-none-match", &tag)
        .send()
        .await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    app.number(&acme, "+12025550102").await;
    let changed = app
        .get("/api/numbers")
        .user(&admin)
        .header("if-none-match", &tag)
        .send()
        .await;
    assert_eq!(e164s(&changed.expect(200)).len(), 2);
}
