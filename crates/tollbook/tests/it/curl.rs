//! The lines that the older systems' documents tell people to type, run by a shell as they are written. Only where
//! the server is, and what a reader is told to fill in, is replaced.

use serde_json::Value;
use tokio::process::Command;
use uuid::Uuid;

use crate::support::{SERVICE_KEY, TestApp};

/// From the summary of the call centre.
const ASSIGN: &str = r#"curl -X POST http://localhost:4000/api/orgs/cfbaf78a-3caa-4cb2-a367-d3b3eb161ba1/users/{USER_ID}/phone-assignments \
  -H "x-user-id: 5a055f52-9ff8-49d3-9583-9903d5350c3e" \
  -H "Content-Type: application/json" \
  -d '{
    "phoneNumberIds": ["0c6873e1-d077-4a1c-bfb2-dbd27158609c"]
  }'"#;

/// From the verification of the usage mapping.
const MAP: &str = r#"curl -X POST https://hysvqdwmhxnblxfqnszn.supabase.co/functions/v1/ops-map-number-to-tenant \
  -H "Authorization: Bearer YOUR_ANON_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "tenant_id": "test-tenant-123",
    "twilio_number_sid": "PNxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "phone_number": "+12505551234",
    "number_type": "both"
  }'"#;

/// Runs a line in a shell that also prints the status.
async fn shell(line: &str) -> (u16, Value) {
    let script = format!(r#"curl() {{ command curl -sS -w '\n%{{http_code}}' "$@"; }}; {line}"#);
    let output = Command::new("bash")
        .args(["-c", &script])
        .output()
        .await
        .expect("this test needs `bash` and `curl`");
    let said = String::from_utf8(output.stdout).unwrap();
    let (body, status) = said.rsplit_once('\n').unwrap_or_else(|| {
        panic!("curl: {}", String::from_utf8_lossy(&output.stderr));
    });
    let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {said}"));
    (status.parse().unwrap(), body)
}

/// The organization, its number, the platform admin and a member, with the ids that the documents have.
async fn call_centre(app: &TestApp) -> String {
    let member = app.user().await;
    let mut tx = app.platform().await;
    for statement in [
        "insert into organizations (id, name, external_key) values ('cfbaf78a-3caa-4cb2-a367-d3b3eb161ba1', 'Victory', 'victory')".to_owned(),
        "insert into users (id, email, platform_admin) values ('5a055f52-9ff8-49d3-9583-9903d5350c3e', 'admin@example.com', true)".to_owned(),
        "insert into phone_numbers (id, e164, provider) values ('0c6873e1-d077-4a1c-bfb2-dbd27158609c', '+12122357403', 'mightycall')".to_owned(),
        format!("insert into number_mappings (id, phone_number_id, organization_id) values ('{}', '0c6873e1-d077-4a1c-bfb2-dbd27158609c', 'cfbaf78a-3caa-4cb2-a367-d3b3eb161ba1')", Uuid::now_v7()),
        format!("insert into memberships (organization_id, user_id, role) values ('cfbaf78a-3caa-4cb2-a367-d3b3eb161ba1', '{}', 'org_member')", member.id),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    member.id.to_string()
}

#[tokio::test]
async fn numbers_are_assigned_by_the_line_that_is_documented() {
    let app = TestApp::with(|settings| settings.dev_auth = true).await;
    let user = call_centre(&app).await;
    let here = |line: &str| {
        line.replace("http://localhost:4000", &app.base)
            .replace("{USER_ID}", &user)
    };
    let (status, given) = shell(&here(ASSIGN)).await;
    assert_eq!(status, 200, "{given}");
    assert_eq!(given["data"][0]["e164"], "+12122357403");
    // And the two that read them, in the same way.
    let admin = "5a055f52-9ff8-49d3-9583-9903d5350c3e";
    let organization = "cfbaf78a-3caa-4cb2-a367-d3b3eb161ba1";
    for (line, who) in [
        (
            format!("http://localhost:4000/api/orgs/{organization}/users/{user}/phone-assignments"),
            admin,
        ),
        (
            format!("\"http://localhost:4000/api/user/phone-assignments?orgId={organization}\""),
            user.as_str(),
        ),
    ] {
        let line = format!("curl {line} \\\n  -H \"x-user-id: {who}\"");
        let (status, read) = shell(&here(&line)).await;
        assert_eq!((status, &read), (200, &given), "{line}");
    }
    // The member may not assign, and nobody without the switch.
    let (status, refused) = shell(&here(ASSIGN).replace(admin, &user)).await;
    assert_eq!(status, 403, "{refused}");
    let strict = TestApp::start().await;
    let (status, refused) = shell(&ASSIGN.replace("http://localhost:4000", &strict.base)).await;
    assert_eq!(status, 401, "{refused}");
}

#[tokio::test]
async fn a_number_is_mapped_by_the_line_that_is_documented() {
    let app = TestApp::start().await;
    let here = |key: &str| {
        MAP.replace("https://hysvqdwmhxnblxfqnszn.supabase.co", &app.base)
            .replace("YOUR_ANON_KEY", key)
    };
    let evidence = "✅ Mapped +12505551234 to tenant and initialized usage counters";
    let (status, first) = shell(&here(SERVICE_KEY)).await;
    assert_eq!(
        (status, first["success"].as_bool()),
        (200, Some(true)),
        "{first}"
    );
    assert_eq!(first["evidence"], evidence);
    let (_, again) = shell(&here(SERVICE_KEY)).await;
    assert_eq!(again["evidence"], format!("{evidence} (updated)"));
    assert_eq!(
        app.count("select count(*) from tenant_usage_counters where tenant_id = 'test-tenant-123'")
            .await,
        1
    );
    // The key that everyone has may not re-bill a number.
    let (status, refused) = shell(&here("sb_publishable_everyone_1")).await;
    assert_eq!((status, refused["success"].as_bool()), (401, Some(false)));
}
