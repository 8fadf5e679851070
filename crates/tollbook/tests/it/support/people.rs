//! Organizations and people for tests: builders name only what matters.

use std::sync::atomic::{AtomicU32, Ordering};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tollbook_core::ids::{CustomerId, OrganizationId, PhoneNumberId, UserId};
use uuid::Uuid;

use super::app::{JWT_SECRET, TestApp};

/// Of every user that has one.
pub(crate) const PASSWORD: &str = "correct horse battery";

static COUNTER: AtomicU32 = AtomicU32::new(1);

fn next() -> u32 {
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

/// An organization.
#[derive(Debug, Clone)]
pub(crate) struct Organization {
    pub(crate) id: OrganizationId,
    pub(crate) name: String,
}

/// A user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) email: String,
}

impl TestApp {
    /// An organization that sells.
    pub(crate) async fn organization(&self, name: &str) -> Organization {
        let id = OrganizationId::from(Uuid::now_v7());
        let mut tx = self.platform().await;
        sqlx::query("insert into organizations (id, name, external_key) values ($1, $2, $3)")
            .bind(id.uuid())
            .bind(name)
            .bind(id.to_string())
            .execute(&mut *tx)
            .await
            .unwrap();
        sqlx::query(
            "insert into sellers (id, organization_id, invoice_prefix) values ($1, $1, 'INV')",
        )
        .bind(id.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        Organization {
            id,
            name: name.to_owned(),
        }
    }

    /// A user with no role, who signs in by token only.
    pub(crate) async fn user(&self) -> User {
        let user = User {
            id: UserId::from(Uuid::now_v7()),
            email: format!("user{}@example.com", next()),
        };
        let mut tx = self.platform().await;
        sqlx::query("insert into users (id, email, name) values ($1, $2, 'Test User')")
            .bind(user.id.uuid())
            .bind(&user.email)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        user
    }

    pub(crate) async fn platform_admin(&self) -> User {
        let user = self.user().await;
        let mut tx = self.platform().await;
        sqlx::query("update users set platform_admin = true where id = $1")
            .bind(user.id.uuid())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        user
    }

    /// A new admin of an organization.
    pub(crate) async fn admin(&self, organization: &Organization) -> User {
        let user = self.user().await;
        self.join(&user, organization, "org_admin").await;
        user
    }

    /// A new member of an organization.
    pub(crate) async fn member(&self, organization: &Organization) -> User {
        let user = self.user().await;
        self.join(&user, organization, "org_member").await;
        user
    }

    /// Gives a user a role.
    pub(crate) async fn join(&self, user: &User, organization: &Organization, role: &str) {
        let mut tx = self.platform().await;
        sqlx::query("insert into memberships (organization_id, user_id, role) values ($1, $2, $3)")
            .bind(organization.id.uuid())
            .bind(user.id.uuid())
            .bind(role)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// A new user of a customer's portal.
    pub(crate) async fn portal_user(
        &self,
        organization: &Organization,
        customer: CustomerId,
    ) -> User {
        let user = self.user().await;
        let mut tx = self.platform().await;
        sqlx::query(
            "insert into portal_users (organization_id, customer_id, user_id) values ($1, $2, $3)",
        )
        .bind(organization.id.uuid())
        .bind(customer.uuid())
        .bind(user.id.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        user
    }

    /// A customer of an organization.
    pub(crate) async fn customer(&self, organization: &Organization, name: &str) -> CustomerId {
        let (id, account) = (CustomerId::from(Uuid::now_v7()), Uuid::now_v7());
        let mut tx = self.platform().await;
        sqlx::query(
            "insert into accounts (organization_id, id, payer) values ($1, $2, 'customer')",
        )
        .bind(organization.id.uuid())
        .bind(account)
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query(
            "insert into customers (organization_id, id, account_id, name) values ($1, $2, $3, $4)",
        )
        .bind(organization.id.uuid())
        .bind(id.uuid())
        .bind(account)
        .bind(name)
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query(
            "insert into search_terms (organization_id, term, kind, id)
             select distinct $1, word, 'customer', $2 from regexp_split_to_table(lower($3), '[^[:alnum:]]+') as word where word <> ''",
        )
        .bind(organization.id.uuid())
        .bind(id.uuid())
        .bind(name)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// A number that an organization holds.
    pub(crate) async fn number(&self, organization: &Organization, e164: &str) -> PhoneNumberId {
        let id = PhoneNumberId::from(Uuid::now_v7());
        let mut tx = self.platform().await;
        sqlx::query("insert into phone_numbers (id, e164, provider) values ($1, $2, 'openphone')")
            .bind(id.uuid())
            .bind(e164)
            .execute(&mut *tx)
            .await
            .unwrap();
        sqlx::query("insert into number_mappings (id, phone_number_id, organization_id, starts_at) values ($1, $2, $3, $4)")
            .bind(Uuid::now_v7())
            .bind(id.uuid())
            .bind(organization.id.uuid())
            .bind(jiff_sqlx::ToSqlx::to_sqlx(self.now()))
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Gives a user the password of all tests.
    pub(crate) async fn set_password(&self, user: &User) {
        use argon2::password_hash::PasswordHasher as _;
        // The cheapest parameters: what is slow about them is not what is tested.
        let params = argon2::Params::new(8, 1, 1, None).unwrap();
        let hash = argon2::Argon2::from(params)
            .hash_password_with_salt(PASSWORD.as_bytes(), b"a salt of the tests")
            .unwrap()
            .to_string();
        let mut tx = self.platform().await;
        sqlx::query("update users set password_hash = $2 where id = $1")
            .bind(user.id.uuid())
            .bind(hash)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// A token of Supabase for a user, valid for an hour.
    pub(crate) fn token(&self, user: &User) -> String {
        sign(&json!({
            "sub": user.id,
            "aud": "authenticated",
            "role": "authenticated",
            "exp": self.now().as_second() + 3600,
        }))
    }

    /// An API key of an organization with these scopes.
    pub(crate) async fn api_key(
        &self,
        admin: &User,
        organization: &Organization,
        scopes: &[&str],
    ) -> String {
        let answer = self
            .post("/api/api-keys")
            .user(admin)
            .organization(organization)
            .json(&json!({"name": "test", "scopes": scopes}))
            .send()
            .await;
        answer.expect(201)["key"].as_str().unwrap().to_owned()
    }

    /// The cookie of a page session and the token that its forms carry.
    pub(crate) async fn sign_in(&self, user: &User) -> (String, String) {
        self.set_password(user).await;
        let form = self.get("/login").browser().send().await;
        let token = form.cookie("tollbook_form");
        let answer = self
            .post("/login")
            .cookie(&format!("tollbook_form={token}"))
            .form(&[
                ("csrf", &token),
                ("email", &user.email),
                ("password", PASSWORD),
            ])
            .send()
            .await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        let session = answer.cookie("tollbook_session");
        let mut tx = self.platform().await;
        let csrf = sqlx::query_scalar(
            "select csrf_token from sessions where user_id = $1 order by id desc",
        )
        .bind(user.id.uuid())
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        (format!("tollbook_session={session}"), csrf)
    }
}

/// A token with these claims, signed with the project's secret.
pub(crate) fn sign(claims: &Value) -> String {
    encode(
        &Header::new(Algorithm::HS256),
        claims,
        &EncodingKey::from_secret(JWT_SECRET.as_bytes()),
    )
    .unwrap()
}
