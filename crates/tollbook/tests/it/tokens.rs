//! Tokens that a project's public keys prove, and families of refresh tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Answer, PASSWORD, TestApp, User};

/// Made for these tests and used nowhere else.
const RSA_KEY: &[u8] = include_bytes!("keys/rs256.der");
const RSA_PUBLIC: &[u8] = include_bytes!("keys/rs256.pub.pem");
const EC_KEY: &[u8] = include_bytes!("keys/es256.der");
const KEYS: &str = include_str!("keys/jwks.json");

/// What the project's server answers, and how often it was asked.
#[derive(Debug, Default)]
struct Project {
    asked: AtomicUsize,
    status: AtomicUsize,
}

impl Project {
    /// A server with the keys, at the address that it returns.
    async fn start() -> (Arc<Self>, String) {
        let project = Arc::new(Self::default());
        let shared = Arc::clone(&project);
        let keys = get(async move || {
            shared.asked.fetch_add(1, Ordering::SeqCst);
            match shared.status.load(Ordering::SeqCst) {
                0 => ([(header::CONTENT_TYPE, "application/json")], KEYS).into_response(),
                status => StatusCode::from_u16(u16::try_from(status).unwrap())
                    .unwrap()
                    .into_response(),
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/auth/v1/.well-known/jwks.json", keys);
        tokio::spawn(async move { axum::serve(listener, router).await });
        (project, format!("http://{address}"))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn answer(&self, status: usize) {
        self.status.store(status, Ordering::SeqCst);
    }
}

async fn with_project() -> (TestApp, Arc<Project>) {
    let (project, url) = Project::start().await;
    let app = TestApp::with(|settings| settings.supabase_url = Some(url)).await;
    (app, project)
}

fn claims(app: &TestApp, user: &User) -> Value {
    json!({
        "iss": "https://example.supabase.co/auth/v1",
        "sub": user.id,
        "aud": "authenticated",
        "role": "authenticated",
        "exp": app.now().as_second() + 3600,
    })
}

fn signed(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let header = Header {
        kid: kid.map(str::to_owned),
        ..Header::new(algorithm)
    };
    encode(&header, claims, key).unwrap()
}

fn rs256(claims: &Value) -> String {
    signed(Algorithm::RS256, Some("rs"), &rsa(), claims)
}

fn es256(claims: &Value) -> String {
    signed(Algorithm::ES256, Some("es"), &ec(), claims)
}

fn rsa() -> EncodingKey {
    EncodingKey::from_rsa_der(RSA_KEY)
}

fn ec() -> EncodingKey {
    EncodingKey::from_ec_der(EC_KEY)
}

async fn me(app: &TestApp, token: &str) -> Answer {
    app.get("/api/me").bearer(token).send().await
}

#[tokio::test]
async fn a_user_is_known_by_a_token_that_a_public_key_proves() {
    let (app, project) = with_project().await;
    let user = app.user().await;
    let good = claims(&app, &user);
    for token in [rs256(&good), es256(&good), rs256(&good)] {
        assert_eq!(me(&app, &token).await.expect(200)["email"], user.email);
    }
    assert_eq!(project.asked(), 1, "the keys are kept");
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    for bad in [
        with("aud", json!("other")),
        with("aud", Value::Null),
        with("sub", json!("x")),
        with("exp", json!(app.now().as_second() - 30)),
        with("nbf", json!(app.now().as_second() + 31)),
        with("role", json!("anon")),
        // What a project's own keys say is signed with its secret only.
        with("role", json!("service_role")),
    ] {
        assert_eq!(me(&app, &es256(&bad)).await.status, 401, "{bad}");
    }
    let service = es256(&with("role", json!("service_role")));
    assert_eq!(
        app.post("/api/orgs")
            .bearer(&service)
            .json(&json!({}))
            .send()
            .await
            .status,
        401
    );
    let stranger = with("sub", json!(uuid::Uuid::now_v7()));
    assert_eq!(me(&app, &es256(&stranger)).await.status, 401);
    // Signed by somebody else under a name that is known.
    let mut forged = es256(&good);
    forged.replace_range(forged.len() - 8..forged.len() - 4, "AAAA");
    assert_eq!(me(&app, &forged).await.status, 401);
}

#[tokio::test]
async fn a_key_proves_only_by_its_own_algorithm() {
    let (app, _project) = with_project().await;
    let user = app.user().await;
    let good = claims(&app, &user);
    assert_eq!(me(&app, &rs256(&good)).await.status, 200);
    let public = EncodingKey::from_secret(RSA_PUBLIC);
    let unsigned = {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "none", "typ": "JWT", "kid": "rs"});
        format!("{}.{}.", part(&header), part(&good))
    };
    for token in [
        // The public key, which everyone has, as if it were a secret.
        signed(Algorithm::HS256, Some("rs"), &public, &good),
        signed(Algorithm::HS256, None, &public, &good),
        unsigned,
        // Each key under the other's name.
        signed(Algorithm::RS256, Some("es"), &rsa(), &good),
        signed(Algorithm::ES256, Some("rs"), &ec(), &good),
        // Another algorithm of the same key, and no name.
        signed(Algorithm::RS512, Some("rs"), &rsa(), &good),
        signed(Algorithm::PS256, Some("rs"), &rsa(), &good),
        signed(Algorithm::RS256, None, &rsa(), &good),
    ] {
        assert_eq!(me(&app, &token).await.status, 401, "{token}");
    }
}

#[tokio::test]
async fn unknown_keys_are_asked_for_seldom() {
    let (app, project) = with_project().await;
    let user = app.user().await;
    let good = claims(&app, &user);
    let unknown = |kid: &str| signed(Algorithm::ES256, Some(kid), &ec(), &good);
    let tokens: Vec<String> = (0..20).map(|n| unknown(&format!("made up {n}"))).collect();
    let asks = tokens.iter().map(|token| me(&app, token));
    for answer in futures_util::future::join_all(asks).await {
        assert_eq!(answer.status, 401);
    }
    assert_eq!(project.asked(), 1);
    assert_eq!(me(&app, &es256(&good)).await.status, 200);
    app.advance(SignedDuration::from_secs(31));
    assert_eq!(me(&app, &unknown("new")).await.status, 401);
    assert_eq!(project.asked(), 2, "a new key is found half a minute later");
    app.advance(SignedDuration::from_mins(11));
    assert_eq!(me(&app, &es256(&good)).await.status, 200);
    assert_eq!(project.asked(), 3, "known keys are fetched again");
}

#[tokio::test]
async fn a_project_that_does_not_answer_is_no_reason_to_refuse() {
    let (app, project) = with_project().await;
    project.answer(500);
    let user = app.user().await;
    app.set_password(&user).await;
    let good = claims(&app, &user);
    let waits = me(&app, &es256(&good)).await;
    assert_eq!(waits.status, 503, "{}", waits.text);
    assert_ne!(waits.header("retry-after"), "");
    let rest = app
        .post("/rest/v1/rpc/log_sms_usage")
        .bearer(&es256(&good))
        .json(&json!({}))
        .send()
        .await;
    assert_eq!(rest.expect(503)["code"], "PGRST001");
    // Others do not wait for it.
    assert_eq!(me(&app, &app.token(&user)).await.status, 200);
    let ours = app
        .post("/api/auth/token")
        .json(&json!({"email": user.email, "password": PASSWORD}))
        .send()
        .await
        .expect(200);
    assert_eq!(
        me(&app, ours["accessToken"].as_str().unwrap()).await.status,
        200
    );
    assert_eq!(project.asked(), 1);
    project.answer(0);
    app.advance(SignedDuration::from_secs(31));
    let good = claims(&app, &user);
    assert_eq!(me(&app, &es256(&good)).await.status, 200);
    // Later it fails again: what is known is used on.
    project.answer(503);
    app.advance(SignedDuration::from_mins(30));
    let good = claims(&app, &user);
    assert_eq!(me(&app, &es256(&good)).await.status, 200);
    assert_eq!(
        me(&app, &signed(Algorithm::ES256, Some("new"), &ec(), &good))
            .await
            .status,
        503
    );
}

#[tokio::test]
async fn without_an_address_no_public_key_proves_anything() {
    let app = TestApp::start().await;
    let user = app.user().await;
    assert_eq!(me(&app, &es256(&claims(&app, &user))).await.status, 401);
}

#[tokio::test]
async fn of_two_refreshes_at_once_one_wins_and_the_family_ends() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.set_password(&user).await;
    let sign_in = async || {
        app.post("/api/auth/token")
            .json(&json!({"email": user.email, "password": PASSWORD}))
            .send()
            .await
            .expect(200)
    };
    let refresh = async |tokens: &Value| {
        let body = json!({"refreshToken": tokens["refreshToken"]});
        app.post("/api/auth/refresh").json(&body).send().await
    };
    let (first, other) = (sign_in().await, sign_in().await);
    let answers = futures_util::future::join_all((0..6).map(|_| refresh(&first))).await;
    let won: Vec<Value> = answers
        .iter()
        .filter(|it| it.status == 200)
        .map(Answer::json)
        .collect();
    assert_eq!(won.len(), 1, "each token is used once");
    assert!(answers.iter().all(|it| [200, 401].contains(&it.status)));
    // It was in several hands, so nobody goes on with it, nor with what came of it.
    assert_eq!(refresh(&won[0]).await.status, 401);
    assert_eq!(refresh(&first).await.status, 401);
    assert_eq!(
        app.count("select count(*) from refresh_families where revoked_at is not null")
            .await,
        1
    );
    // Another sign-in of the same person is another family.
    let next = refresh(&other).await.expect(200);
    assert_eq!(refresh(&next).await.status, 200);
}
