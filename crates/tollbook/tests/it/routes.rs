//! Every operation as every wrong caller, and as the right one, so that the test cannot pass without asking.
//!
//! The operations are read from the router's table: pages, media and streams included.

use reqwest::Method;
use serde_json::json;
use tollbook::{Access, Route, routes};
use tollbook_core::ids::PhoneNumberId;
use uuid::Uuid;

use crate::support::{Answer, Organization, SERVICE_KEY, TestApp, User};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    PortalUser,
    Member,
    Admin,
    /// An admin of another organization who names this one.
    ForeignAdmin,
    PlatformAdmin,
    PlatformService,
    ReadKey,
    UsageKey,
    AdminKey,
    /// A key of another organization that names this one.
    ForeignKey,
}

const EVERYONE: [Who; 11] = [
    Who::Nobody,
    Who::PortalUser,
    Who::Member,
    Who::Admin,
    Who::ForeignAdmin,
    Who::PlatformAdmin,
    Who::PlatformService,
    Who::ReadKey,
    Who::UsageKey,
    Who::AdminKey,
    Who::ForeignKey,
];

/// What they must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// What the operation has to say; never that they may not.
    Anything,
    Unauthorized,
    Forbidden,
    /// That there is no such organization.
    Unknown,
}

fn expected(access: Access, who: Who, is_read: bool) -> Told {
    use Told::{Anything, Forbidden, Unauthorized, Unknown};
    use Who::{
        Admin, AdminKey, ForeignAdmin, ForeignKey, Member, Nobody, PlatformAdmin, PlatformService,
        PortalUser, ReadKey, UsageKey,
    };
    let within = match access {
        Access::Public | Access::Webhook => return Anything,
        _ if who == Nobody => return Unauthorized,
        Access::SignedIn => {
            return match who {
                PlatformService | ReadKey | UsageKey | AdminKey | ForeignKey => Forbidden,
                _ => Anything,
            };
        }
        Access::Platform => {
            return match who {
                PlatformAdmin | PlatformService => Anything,
                _ => Forbidden,
            };
        }
        // The tenant is named by the body, which names none here.
        Access::TenantUsage => {
            return match who {
                PortalUser | Member | ReadKey => Forbidden,
                _ => Anything,
            };
        }
        Access::TenantAdmin => {
            return match who {
                PortalUser | Member | ReadKey | UsageKey => Forbidden,
                _ => Anything,
            };
        }
        Access::OrgUser
            if [PlatformService, ReadKey, UsageKey, AdminKey, ForeignKey].contains(&who) =>
        {
            return Forbidden;
        }
        Access::OrgMember
        | Access::OrgUser
        | Access::OrgAdmin
        | Access::Portal
        | Access::Service
        | Access::Dialer
        | Access::Seller => who,
    };
    match (access, within) {
        (_, Nobody) => Unauthorized,
        (_, ForeignAdmin | ForeignKey) => Unknown,
        (Access::Portal, PortalUser)
        | (Access::OrgMember | Access::OrgUser | Access::Dialer, Member)
        | (Access::Service | Access::Dialer, UsageKey) => Anything,
        (Access::OrgMember | Access::OrgAdmin | Access::Seller | Access::Dialer, ReadKey)
            if is_read =>
        {
            Anything
        }
        (Access::Portal, _) | (_, PortalUser | Member | ReadKey | UsageKey) => Forbidden,
        (_, Admin | AdminKey | PlatformAdmin | PlatformService) => Anything,
    }
}

/// Everybody, and the organization that all requests are about.
struct Cast {
    acme: Organization,
    number: PhoneNumberId,
    portal_user: User,
    member: User,
    admin: User,
    foreign_admin: User,
    platform_admin: User,
    read_key: String,
    usage_key: String,
    admin_key: String,
    foreign_key: String,
}

impl Cast {
    async fn new(app: &TestApp) -> Self {
        let acme = app.organization("Acme").await;
        let foreign = app.organization("Foreign").await;
        let customer = app.customer(&acme, "Dana").await;
        let admin = app.admin(&acme).await;
        let foreign_admin = app.admin(&foreign).await;
        Self {
            portal_user: app.portal_user(&acme, customer).await,
            member: app.member(&acme).await,
            platform_admin: app.platform_admin().await,
            read_key: app.api_key(&admin, &acme, &["read"]).await,
            usage_key: app.api_key(&admin, &acme, &["usage"]).await,
            admin_key: app.api_key(&admin, &acme, &["admin"]).await,
            foreign_key: app.api_key(&foreign_admin, &foreign, &["admin"]).await,
            number: app.number(&acme, "+12125550100").await,
            acme,
            admin,
            foreign_admin,
        }
    }

    fn bearer(&self, app: &TestApp, who: Who) -> Option<String> {
        let token = |user| Some(app.token(user));
        match who {
            Who::Nobody => None,
            Who::PortalUser => token(&self.portal_user),
            Who::Member => token(&self.member),
            Who::Admin => token(&self.admin),
            Who::ForeignAdmin => token(&self.foreign_admin),
            Who::PlatformAdmin => token(&self.platform_admin),
            Who::PlatformService => Some(SERVICE_KEY.to_owned()),
            Who::ReadKey => Some(self.read_key.clone()),
            Who::UsageKey => Some(self.usage_key.clone()),
            Who::AdminKey => Some(self.admin_key.clone()),
            Who::ForeignKey => Some(self.foreign_key.clone()),
        }
    }

    /// The address of an operation: in this organization, of the member, of its number (a number that is not there
    /// looks forbidden), and otherwise of things that are not there.
    fn path(&self, route: &Route) -> String {
        let fill = |name: &str| match name {
            "orgId" => self.acme.id.to_string(),
            "userId" => self.member.id.to_string(),
            "id" if route.path.starts_with("/api/numbers/") => self.number.to_string(),
            _ => Uuid::now_v7().to_string(),
        };
        let mut path = String::new();
        for part in route.path.split('/').skip(1) {
            path.push('/');
            match part.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
                Some(name) => path.push_str(&fill(name)),
                None => path.push_str(part),
            }
        }
        path
    }

    async fn ask(&self, app: &TestApp, route: &Route, who: Who) -> Answer {
        let mut ask = app
            .request(route.method.clone(), &self.path(route))
            .organization(&self.acme);
        if let Some(bearer) = self.bearer(app, who) {
            ask = ask.bearer(&bearer);
        }
        if route.method != Method::GET {
            ask = ask.json(&json!({}));
        }
        ask.send_for_status().await
    }
}

fn is_told(answer: &Answer, told: Told) -> bool {
    let is_unknown = answer.status == 404 && answer.text.contains("organization not found");
    match told {
        Told::Unauthorized => answer.status == 401,
        Told::Forbidden => answer.status == 403,
        Told::Unknown => is_unknown,
        Told::Anything => {
            !is_unknown
                && ![401, 403, 405].contains(&answer.status)
                && answer.status < 500
                && !answer.text.contains("nothing at this address")
        }
    }
}

#[tokio::test]
async fn every_operation_answers_every_caller_as_the_table_says() {
    let app = TestApp::start().await;
    let cast = Cast::new(&app).await;
    let mut wrong = Vec::new();
    let mut asked = 0;
    for route in routes() {
        if matches!(route.access, Access::Public | Access::Webhook) {
            continue;
        }
        for who in EVERYONE {
            let is_read = route.method == Method::GET;
            let told = expected(route.access, who, is_read);
            let answer = cast.ask(&app, &route, who).await;
            asked += 1;
            if !is_told(&answer, told) {
                wrong.push(format!(
                    "{} {} ({:?}) as {who:?}: {} instead of {told:?}: {}",
                    route.method, route.path, route.access, answer.status, answer.text
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked > 100, "{asked}");
}

#[tokio::test]
async fn what_is_public_answers_without_credentials() {
    let app = TestApp::start().await;
    for route in routes().iter().filter(|it| it.access == Access::Public) {
        let path = route
            .path
            .replace("{hash}", "0")
            .replace("{name}", "app.css");
        let answer = app
            .request(route.method.clone(), &path)
            .send_for_status()
            .await;
        assert!(
            ![403, 404, 405, 500].contains(&answer.status),
            "{path}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_webhook_without_a_signature_is_refused() {
    let app = TestApp::start().await;
    for route in routes().iter().filter(|it| it.access == Access::Webhook) {
        let path = route
            .path
            .replace("{integrationId}", &Uuid::now_v7().to_string());
        let answer = app
            .request(route.method.clone(), &path)
            .json(&json!({}))
            .send()
            .await;
        assert!(
            [401, 403, 404].contains(&answer.status),
            "{path}: {answer:?}"
        );
    }
    assert_eq!(app.count("select count(*) from inbox").await, 0);
}

#[tokio::test]
async fn a_page_asks_a_person_to_sign_in() {
    let app = TestApp::start().await;
    let pages: Vec<_> = routes()
        .into_iter()
        .filter(|it| it.method == Method::GET && it.access != Access::Public)
        .filter(|it| {
            ["/api/", "/webhooks/", "/rest/", "/functions/"]
                .iter()
                .all(|prefix| !it.path.starts_with(prefix))
        })
        .collect();
    for page in &pages {
        let path = page.path.replace("{id}", &Uuid::now_v7().to_string());
        let answer = app.get(&path).browser().send().await;
        assert_eq!(answer.status, 303, "{path}");
        assert!(
            answer.header("location").starts_with("/login?next="),
            "{path}"
        );
    }
}

#[test]
fn no_operation_is_listed_twice() {
    let mut seen = std::collections::BTreeSet::new();
    for route in routes() {
        assert!(
            seen.insert((route.path, route.method.to_string())),
            "{} {}",
            route.method,
            route.path
        );
    }
}
