//! Who is calling: the table of credentials row by row, and which organization a request is about.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{Answer, Ask, PASSWORD, SERVICE_KEY, TestApp, sign};

fn minutes(n: i64) -> SignedDuration {
    SignedDuration::from_mins(n)
}

/// Whether the credentials are those of a user, by what `/api/me` says.
async fn me(ask: Ask<'_>) -> Answer {
    ask.send().await
}

#[tokio::test]
async fn a_supabase_token_is_a_user_known_by_its_subject() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let claims = |change: Value| {
        let mut claims = json!({
            "sub": user.id, "aud": "authenticated", "role": "authenticated",
            "exp": app.now().as_second() + 60,
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        sign(&claims)
    };
    let good = me(app.get("/api/me").bearer(&claims(json!({})))).await;
    assert_eq!(good.expect(200)["email"], user.email);

    let stranger = "0190a0b0-c0d0-7123-8456-789abcdef012";
    for bad in [
        json!({"sub": stranger}),
        json!({"sub": "x"}),
        json!({"aud": "somebody else"}),
        json!({"exp": app.now().as_second() - 31}),
        json!({"role": "anon"}),
    ] {
        let answer = me(app.get("/api/me").bearer(&claims(bad.clone()))).await;
        assert_eq!(answer.status, 401, "{bad}");
    }
    let mut forged = claims(json!({}));
    forged.replace_range(forged.len() - 3.., "abc");
    assert_eq!(me(app.get("/api/me").bearer(&forged)).await.status, 401);
}

#[tokio::test]
async fn nothing_is_authorized_from_what_users_write_about_themselves() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let token = sign(&json!({
        "sub": user.id, "aud": "authenticated", "exp": app.now().as_second() + 60,
        "user_metadata": {"role": "platform_admin", "platform_admin": true},
        "app_metadata": {"role": "platform_admin"},
    }));
    let answer = app
        .post("/api/orgs")
        .bearer(&token)
        .json(&json!({"name": "Mine"}))
        .send()
        .await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn our_access_token_ends_after_15_minutes_and_a_refresh_token_goes_on() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.set_password(&user).await;
    let sign_in = json!({"email": user.email.to_uppercase(), "password": PASSWORD});
    let first = app
        .post("/api/auth/token")
        .json(&sign_in)
        .send()
        .await
        .expect(200);
    let access = |tokens: &Value| tokens["accessToken"].as_str().unwrap().to_owned();
    assert_eq!(
        me(app.get("/api/me").bearer(&access(&first))).await.status,
        200
    );
    app.advance(minutes(15));
    assert_eq!(
        me(app.get("/api/me").bearer(&access(&first))).await.status,
        401
    );

    let refresh = async |tokens: &Value| {
        let token = &tokens["refreshToken"];
        app.post("/api/auth/refresh")
            .json(&json!({"refresh_token": token}))
            .send()
            .await
    };
    let second = refresh(&first).await.expect(200);
    assert_ne!(first["refreshToken"], second["refreshToken"]);
    assert_eq!(
        me(app.get("/api/me").bearer(&access(&second))).await.status,
        200
    );
    // The first one is in two hands now: neither goes on.
    assert_eq!(refresh(&first).await.status, 401);
    assert_eq!(refresh(&second).await.status, 401);
}

#[tokio::test]
async fn signing_out_ends_the_refresh_token_and_30_days_do_too() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.set_password(&user).await;
    let sign_in = json!({"email": user.email, "password": PASSWORD});
    let tokens = || async {
        app.post("/api/auth/token")
            .json(&sign_in)
            .send()
            .await
            .expect(200)
    };
    let send = async |path: &str, tokens: &Value| {
        app.post(path)
            .json(&json!({"refreshToken": tokens["refreshToken"]}))
            .send()
            .await
            .status
    };
    let first = tokens().await;
    assert_eq!(send("/api/auth/logout", &first).await, 204);
    assert_eq!(send("/api/auth/refresh", &first).await, 401);
    let second = tokens().await;
    app.advance(SignedDuration::from_hours(24 * 30));
    assert_eq!(send("/api/auth/refresh", &second).await, 401);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_look_alike_and_are_throttled() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.set_password(&user).await;
    let attempt = async |email: &str, password: &str| {
        app.post("/api/auth/token")
            .json(&json!({"email": email, "password": password}))
            .send()
            .await
    };
    let wrong = attempt(&user.email, "wrong password").await;
    let unknown = attempt("nobody@example.com", PASSWORD).await;
    let detail = |answer: &Answer| answer.expect(401)["detail"].clone();
    assert_eq!(detail(&wrong), detail(&unknown));
    for _ in 1..10 {
        assert_eq!(attempt(&user.email, "wrong password").await.status, 401);
    }
    let throttled = attempt(&user.email, PASSWORD).await;
    assert_eq!(throttled.expect(429)["code"], "rate_limited");
    assert!(throttled.header("retry-after").parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn an_api_key_acts_within_its_scopes_until_it_is_revoked() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let ann = app.admin(&acme).await;
    let made = app
        .post("/api/api-keys")
        .user(&ann)
        .json(&json!({"name": "reader", "scopes": ["read"]}))
        .send()
        .await
        .expect(201);
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("tb_") && made["prefix"].as_str().unwrap().len() < 12);
    let by_bearer = app.get("/api/api-keys").bearer(key).send().await;
    let by_header = app.get("/api/api-keys").header("apikey", key).send().await;
    assert_eq!(by_bearer.expect(200), by_header.expect(200));
    assert!(!by_bearer.text.contains(key), "the secret is shown once");

    let write = app
        .post("/api/api-keys")
        .bearer(key)
        .json(&json!({"name": "x", "scopes": ["read"]}))
        .send()
        .await;
    assert_eq!(
        write.expect(403)["detail"],
        "this key lacks the scope `admin`"
    );
    let id = made["id"].as_str().unwrap();
    let revoke = app
        .request(reqwest::Method::DELETE, &format!("/api/api-keys/{id}"))
        .user(&ann)
        .send()
        .await;
    assert_eq!(revoke.status, 204);
    let after = app.get("/api/api-keys").bearer(key).send().await;
    assert_eq!(after.status, 401);
    // The secret is nowhere in the database.
    assert_eq!(
        app.count("select count(*) from api_keys where encode(digest, 'escape') like 'tb_%'")
            .await,
        0
    );
    let audited = "select count(*) from audit_log where action in ('api_key.created', 'api_key.revoked') and user_id is not null and request_id is not null and address is not null";
    assert_eq!(app.count(audited).await, 2);
}

#[tokio::test]
async fn a_key_cannot_name_another_organization() {
    let app = TestApp::start().await;
    let (acme, other) = (
        app.organization("Acme").await,
        app.organization("Other").await,
    );
    let ann = app.admin(&acme).await;
    let key = app.api_key(&ann, &acme, &["admin"]).await;
    let own = app
        .get("/api/api-keys")
        .bearer(&key)
        .organization(&acme)
        .send()
        .await;
    assert_eq!(own.status, 200);
    let foreign = app
        .get("/api/api-keys")
        .bearer(&key)
        .organization(&other)
        .send()
        .await;
    assert_eq!(foreign.status, 404);
}

#[tokio::test]
async fn supabases_keys_are_the_service_or_nobody() {
    let app = TestApp::start().await;
    let exp = app.now().as_second() + 60;
    let service = sign(&json!({"iss": "supabase", "role": "service_role", "exp": exp}));
    let anon = sign(&json!({"iss": "supabase", "role": "anon", "exp": exp}));
    let user = app.platform_admin().await;
    let token = app.token(&user);
    let create = async |name: &str, bearer: Option<&str>, api_key: Option<&str>| {
        let mut ask = app.post("/api/orgs").json(&json!({"name": name}));
        if let Some(bearer) = bearer {
            ask = ask.bearer(bearer);
        }
        if let Some(api_key) = api_key {
            ask = ask.header("apikey", api_key);
        }
        ask.send().await.status
    };
    // A bearer equal to `apikey` is the key's own role.
    assert_eq!(create("a", Some(SERVICE_KEY), Some(SERVICE_KEY)).await, 201);
    assert_eq!(create("b", None, Some(SERVICE_KEY)).await, 201);
    assert_eq!(create("c", Some(&service), Some(&service)).await, 201);
    assert_eq!(create("d", Some(&anon), Some(&anon)).await, 401);
    assert_eq!(create("e", None, Some(&anon)).await, 401);
    assert_eq!(create("f", None, Some("sb_publishable_abc")).await, 401);
    // A user's token as a key is no user, beside the public key it is.
    assert_eq!(create("g", Some(&token), Some(&token)).await, 401);
    assert_eq!(create("h", Some(&token), Some(&anon)).await, 201);
    // The service is no user.
    assert_eq!(me(app.get("/api/me").bearer(SERVICE_KEY)).await.status, 403);
}

#[tokio::test]
async fn a_user_id_in_a_header_counts_only_with_dev_auth() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let id = user.id.to_string();
    assert_eq!(
        me(app.get("/api/me").header("x-user-id", &id)).await.status,
        401
    );
    let dev = TestApp::with(|settings| settings.dev_auth = true).await;
    let user = dev.user().await;
    let id = user.id.to_string();
    assert_eq!(
        me(dev.get("/api/me").header("x-user-id", &id)).await.status,
        200
    );
    // A proxy on this machine brings requests from elsewhere.
    let forwarded = dev
        .get("/api/me")
        .header("x-user-id", &id)
        .header("x-forwarded-for", "203.0.113.9");
    assert_eq!(me(forwarded).await.status, 401);
}

#[tokio::test]
async fn a_disabled_user_is_nobody_by_any_credential() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let (cookie, _) = app.sign_in(&user).await;
    let mut tx = app.platform().await;
    sqlx::query("update users set disabled_at = now() where id = $1")
        .bind(user.id.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(me(app.get("/api/me").user(&user)).await.status, 401);
    assert_eq!(me(app.get("/api/me").cookie(&cookie)).await.status, 401);
    let sign_in = json!({"email": user.email, "password": PASSWORD});
    assert_eq!(
        app.post("/api/auth/token")
            .json(&sign_in)
            .send()
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_bad_credential_is_not_made_up_for_by_another_one() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let (cookie, _) = app.sign_in(&user).await;
    let both = app.get("/api/me").bearer("nonsense").cookie(&cookie);
    assert_eq!(me(both).await.status, 401);
    let basic = app
        .get("/api/me")
        .header("authorization", "Basic YTpi")
        .cookie(&cookie);
    assert_eq!(me(basic).await.status, 401);
}

#[tokio::test]
async fn a_page_session_lasts_14_days_from_its_last_use_and_ends_with_sign_out() {
    let app = TestApp::start().await;
    let user = app.user().await;
    let (cookie, csrf) = app.sign_in(&user).await;
    let status = async || me(app.get("/api/me").cookie(&cookie)).await.status;
    assert_eq!(status().await, 200);
    app.advance(SignedDuration::from_hours(24 * 13));
    assert_eq!(status().await, 200);
    app.advance(SignedDuration::from_hours(24 * 13));
    assert_eq!(status().await, 200, "use extends it");
    let out = app
        .post("/logout")
        .cookie(&cookie)
        .form(&[("csrf", &csrf)])
        .send()
        .await;
    assert_eq!((out.status, out.header("location")), (303, "/login"));
    assert_eq!(out.cookie("tollbook_session"), "");
    assert_eq!(status().await, 401);

    let (cookie, _) = app.sign_in(&user).await;
    app.advance(SignedDuration::from_hours(24 * 14));
    assert_eq!(me(app.get("/api/me").cookie(&cookie)).await.status, 401);
    let fresh = app.get("/login?next=/").browser().send().await;
    let after = app
        .get("/login?next=/")
        .browser()
        .cookie(&cookie)
        .send()
        .await;
    assert!(
        after.text.contains("role=\"alert\""),
        "it says that the session ended"
    );
    assert!(!fresh.text.contains("role=\"alert\""));
}

#[tokio::test]
async fn what_writes_with_the_cookie_needs_the_token_of_the_session() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let ann = app.admin(&acme).await;
    let (cookie, csrf) = app.sign_in(&ann).await;
    let key = json!({"name": "x", "scopes": ["read"]});
    let post = || app.post("/api/api-keys").cookie(&cookie).json(&key);
    assert_eq!(post().send().await.expect(403)["code"], "csrf");
    let wrong = post().header("x-csrf-token", "wrong").send().await;
    assert_eq!(wrong.status, 403);
    let right = post().header("x-csrf-token", &csrf).send().await;
    assert_eq!(right.status, 201);
    // A form of another site carries the cookie at most, never the field.
    let form = async |fields: &[(&str, &str)]| {
        app.post("/appearance")
            .cookie(&cookie)
            .form(fields)
            .send()
            .await
    };
    assert_eq!(form(&[("scheme", "dark")]).await.status, 403);
    let chosen = form(&[
        ("csrf", &csrf),
        ("scheme", "dark"),
        ("back", "//evil.example"),
    ])
    .await;
    assert_eq!((chosen.status, chosen.header("location")), (303, "/"));
    assert_eq!(chosen.cookie("tollbook_scheme"), "dark");
}

#[tokio::test]
async fn the_sign_in_form_leads_back_and_tells_no_secrets() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.set_password(&user).await;
    let page = app.get("/login?next=/calls%3Fq%3D1").browser().send().await;
    assert_eq!(page.status, 200);
    assert!(
        page.text.contains("/calls?q=1"),
        "the form keeps the address"
    );
    let token = page.cookie("tollbook_form");
    let post = async |csrf: &str, password: &str| {
        app.post("/login")
            .browser()
            .cookie(&format!("tollbook_form={token}"))
            .form(&[
                ("csrf", csrf),
                ("email", &user.email),
                ("password", password),
                ("next", "/calls?q=1"),
            ])
            .send()
            .await
    };
    assert_eq!(post("wrong", PASSWORD).await.status, 403);
    let wrong = post(&token, "wrong password").await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains(&user.email), "what was typed is kept");
    assert!(!wrong.text.contains("wrong password"));
    let right = post(&token, PASSWORD).await;
    assert_eq!(
        (right.status, right.header("location")),
        (303, "/calls?q=1")
    );
    assert!(
        right
            .header("set-cookie")
            .contains("HttpOnly; SameSite=Lax")
    );
    let session = right.cookie("tollbook_session");
    assert_eq!(
        app.count("select count(*) from sessions where octet_length(token_digest) = 32")
            .await,
        1
    );
    assert!(session.len() >= 43);
}

#[tokio::test]
async fn the_organization_is_the_paths_then_the_headers_then_the_querys_then_the_only_one() {
    let app = TestApp::start().await;
    let (acme, other) = (
        app.organization("Acme").await,
        app.organization("Other").await,
    );
    let ann = app.admin(&acme).await;
    app.join(&ann, &other, "org_admin").await;
    let keys = "/api/api-keys";
    let name = async |organization: &crate::support::Organization| {
        app.api_key(&ann, organization, &["read"]).await
    };
    name(&acme).await;
    let count = |answer: Answer| answer.expect(200)["data"].as_array().unwrap().len();
    let (in_acme, in_other) = (acme.id.to_string(), other.id.to_string());
    let by_query = app
        .get(&format!("{keys}?orgId={in_acme}"))
        .user(&ann)
        .send()
        .await;
    assert_eq!(count(by_query), 1);
    let by_snake = app
        .get(&format!("{keys}?org_id={in_acme}"))
        .user(&ann)
        .send()
        .await;
    assert_eq!(count(by_snake), 1);
    let header_wins = app
        .get(&format!("{keys}?orgId={in_acme}"))
        .user(&ann)
        .organization(&other)
        .send()
        .await;
    assert_eq!(count(header_wins), 0);
    let path_wins = app
        .get(&format!("/api/orgs/{in_acme}/users"))
        .user(&ann)
        .organization(&other)
        .send()
        .await;
    assert_eq!(count(path_wins), 1);

    let neither = app.get(keys).user(&ann).send().await.expect(422);
    let message = neither["errors"][0]["message"].as_str().unwrap();
    let choice = format!("{in_acme} ({})", acme.name);
    assert!(
        message.contains(&choice) && message.contains(&in_other),
        "{message}"
    );
    let bob = app.admin(&other).await;
    assert_eq!(app.get(keys).user(&bob).send().await.status, 200);
    for foreign in [in_acme.as_str(), "nonsense"] {
        let answer = app
            .get(&format!("{keys}?orgId={foreign}"))
            .user(&bob)
            .send()
            .await;
        assert_eq!(answer.expect(404)["detail"], "organization not found");
    }
    let nobody = app.user().await;
    assert_eq!(app.get(keys).user(&nobody).send().await.status, 422);
}

#[tokio::test]
async fn a_session_keeps_its_organization_until_it_is_switched() {
    let app = TestApp::start().await;
    let (acme, beta) = (
        app.organization("Acme").await,
        app.organization("Beta").await,
    );
    let ann = app.admin(&acme).await;
    app.join(&ann, &beta, "org_admin").await;
    app.api_key(&ann, &beta, &["read"]).await;
    let (cookie, csrf) = app.sign_in(&ann).await;
    let keys = async || {
        let answer = app.get("/api/api-keys").cookie(&cookie).send().await;
        answer.expect(200)["data"].as_array().unwrap().len()
    };
    assert_eq!(keys().await, 0, "it begins with the first by name");
    let switch = async |id: &str| {
        app.post("/organization")
            .cookie(&cookie)
            .form(&[("csrf", csrf.as_str()), ("organization_id", id)])
            .send()
            .await
            .status
    };
    assert_eq!(switch(&beta.id.to_string()).await, 303);
    assert_eq!(keys().await, 1);
    let foreign = app.organization("Foreign").await;
    assert_eq!(switch(&foreign.id.to_string()).await, 404);
    assert_eq!(keys().await, 1);
}

#[tokio::test]
async fn a_platform_admin_works_in_any_organization_that_exists() {
    let app = TestApp::start().await;
    let root = app.platform_admin().await;
    let acme = app.organization("Acme").await;
    let keys = async |named: Option<&str>| {
        let ask = app.get("/api/api-keys").user(&root);
        match named {
            Some(id) => ask.header("x-organization-id", id).send().await.status,
            None => ask.send().await.status,
        }
    };
    assert_eq!(keys(None).await, 200, "there is only one");
    app.organization("Beta").await;
    assert_eq!(keys(None).await, 422);
    assert_eq!(keys(Some(&acme.id.to_string())).await, 200);
    assert_eq!(
        keys(Some("0190a0b0-c0d0-7123-8456-789abcdef012")).await,
        404
    );
}

#[tokio::test]
async fn members_are_added_and_changed_and_the_last_admin_stays() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let ann = app.admin(&acme).await;
    let bob = app.user().await;
    let users = format!("/api/orgs/{}/users", acme.id);
    let added = app
        .post(&users)
        .user(&ann)
        .json(&json!({"email": bob.email, "role": "org_member", "may_buy_numbers": true}))
        .send()
        .await
        .expect(201);
    assert_eq!(
        (&added["role"], &added["mayBuyNumbers"]),
        (&json!("org_member"), &json!(true))
    );
    let again = json!({"email": bob.email, "role": "org_member"});
    assert_eq!(
        app.post(&users)
            .user(&ann)
            .json(&again)
            .send()
            .await
            .expect(409)["code"],
        "member_exists"
    );
    let unknown = json!({"email": "nobody@example.com", "role": "org_member"});
    let refused = app
        .post(&users)
        .user(&ann)
        .json(&unknown)
        .send()
        .await
        .expect(422);
    assert_eq!(refused["errors"][0]["field"], "email");
    let patch = async |user: &crate::support::User, body: Value| {
        app.request(reqwest::Method::PATCH, &format!("{users}/{}", user.id))
            .user(&ann)
            .json(&body)
            .send()
            .await
    };
    let last = patch(&ann, json!({"role": "org_member"})).await;
    assert_eq!(last.expect(409)["code"], "last_admin");
    assert_eq!(
        patch(&bob, json!({"role": "org_admin"})).await.expect(200)["mayBuyNumbers"],
        true
    );
    assert_eq!(patch(&ann, json!({"role": "org_member"})).await.status, 200);
    assert_eq!(
        patch(&ann, json!({"role": "org_admin"})).await.status,
        403,
        "not an admin any more"
    );
}
