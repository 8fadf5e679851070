//! `tollbook user`

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand, ValueEnum};
use tollbook_core::actor::Actor;
use tollbook_core::ids::OrganizationId;

use super::{Given, database, output};
use crate::app::App;
use crate::identity::{self, NewUser};
use crate::organizations::{self, MemberRole, NewMember};
use crate::secrets::random;

/// So many users are read at a time.
const ROWS: i64 = 500;

/// Adds and changes users
#[derive(Debug, Subcommand)]
pub(super) enum User {
    Add(Add),
    List(List),
    Role(Role),
    Password(Password),
}

/// Adds a user; without a password one is made and printed
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tollbook user add ann@example.com --platform-admin\n  tollbook user add bob@example.com --org acme --role org_member"
)]
pub(super) struct Add {
    /// The mail address to sign in with
    mail: String,
    /// How the person is called
    #[arg(long, default_value = "")]
    name: String,
    /// Runs the installation
    #[arg(long)]
    platform_admin: bool,
    /// An organization to work in, by id or external key
    #[arg(long, value_name = "ID", requires = "role")]
    org: Option<String>,
    /// The role there
    #[arg(long, value_enum, requires = "org")]
    role: Option<RoleName>,
    /// The password; it shows in the list of processes, so prefer the one that is made
    #[arg(long)]
    password: Option<String>,
}

/// Lists the users with their roles
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tollbook user list --json")]
pub(super) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Gives a user another role
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tollbook user role bob@example.com org_admin --org acme\n  tollbook user role ann@example.com platform_admin"
)]
pub(super) struct Role {
    /// The user's mail address
    mail: String,
    /// The role; `user` is a platform admin no longer
    #[arg(value_enum, value_name = "ROLE")]
    becomes: RoleName,
    /// The organization of the role, by id or external key
    #[arg(long, value_name = "ID")]
    org: Option<String>,
}

/// Sets a user's password; without one a new one is made and printed
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tollbook user password ann@example.com")]
pub(super) struct Password {
    /// The user's mail address
    mail: String,
    /// The password; it shows in the list of processes, so prefer the one that is made
    #[arg(long)]
    password: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    #[value(name = "org_admin")]
    OrgAdmin,
    #[value(name = "org_member")]
    OrgMember,
    #[value(name = "platform_admin")]
    PlatformAdmin,
    #[value(name = "user")]
    User,
}

impl RoleName {
    fn in_organization(self) -> Result<MemberRole> {
        match self {
            Self::OrgAdmin => Ok(MemberRole::OrgAdmin),
            Self::OrgMember => Ok(MemberRole::OrgMember),
            Self::PlatformAdmin | Self::User => {
                bail!("in an organization the roles are `org_admin` and `org_member`")
            }
        }
    }
}

impl User {
    pub(super) async fn run(self, given: Given) -> Result<()> {
        let opened = database::open(given.settings).await?;
        let outcome = match self {
            Self::Add(add) => add.run(&opened.app).await,
            Self::List(list) => list.run(&opened.app).await,
            Self::Role(role) => role.run(&opened.app).await,
            Self::Password(password) => password.run(&opened.app).await,
        };
        opened.close().await?;
        outcome
    }
}

impl Add {
    async fn run(self, app: &App) -> Result<()> {
        let membership = match (&self.org, self.role) {
            (Some(org), Some(role)) => Some((find(app, org).await?, role.in_organization()?)),
            _ => None,
        };
        let (password, is_made) = or_made(self.password)?;
        let new = NewUser {
            email: self.mail.clone(),
            name: self.name,
            password: password.clone(),
            is_platform_admin: self.platform_admin,
        };
        let user = identity::add_user(app, &Actor::system(), new).await?;
        if let Some((organization, role)) = membership {
            let member = NewMember {
                user,
                role,
                may_buy_numbers: false,
            };
            let actor = Actor::organization_system(organization);
            organizations::add_member(app, &actor, organization, &member).await?;
        }
        output::line(format!("added {} ({user})", self.mail));
        tell_password(&password, is_made);
        Ok(())
    }
}

impl List {
    async fn run(self, app: &App) -> Result<()> {
        let mut users = Vec::new();
        loop {
            let after = users
                .last()
                .map_or("", |it: &identity::UserRow| it.email.as_str());
            let more = identity::list_users(app, after, ROWS).await?;
            if more.is_empty() {
                break;
            }
            users.extend(more);
        }
        if self.json {
            return output::json(&users);
        }
        let rows: Vec<_> = users
            .into_iter()
            .map(|user| {
                let platform = user.platform_admin.then(|| "platform_admin".to_owned());
                let roles: Vec<_> = platform.into_iter().chain(user.roles).collect();
                [user.email, user.name, roles.join(", ")]
            })
            .collect();
        output::table(["mail", "name", "roles"], &rows);
        Ok(())
    }
}

impl Role {
    async fn run(self, app: &App) -> Result<()> {
        let user = find_user(app, &self.mail).await?;
        if let Some(org) = &self.org {
            let organization = find(app, org).await?;
            let role = self.becomes.in_organization()?;
            let actor = Actor::organization_system(organization);
            organizations::set_role(app, &actor, organization, user, role).await?;
        } else {
            let is_admin = match self.becomes {
                RoleName::PlatformAdmin => true,
                RoleName::User => false,
                RoleName::OrgAdmin | RoleName::OrgMember => {
                    bail!("name the organization of this role with `--org`")
                }
            };
            identity::set_platform_admin(app, &Actor::system(), user, is_admin).await?;
        }
        output::note(format!("{} has the role", self.mail));
        Ok(())
    }
}

impl Password {
    async fn run(self, app: &App) -> Result<()> {
        let user = find_user(app, &self.mail).await?;
        let (password, is_made) = or_made(self.password)?;
        identity::set_password(app, &Actor::system(), user, password.clone()).await?;
        output::note(format!(
            "{} has a new password and is signed out everywhere",
            self.mail
        ));
        tell_password(&password, is_made);
        Ok(())
    }
}

/// The organization of an id or an external key.
pub(super) async fn find(app: &App, org: &str) -> Result<OrganizationId> {
    organizations::find(app, org)
        .await
        .with_context(|| format!("there is no organization `{org}`"))
}

async fn find_user(app: &App, mail: &str) -> Result<tollbook_core::ids::UserId> {
    identity::find_user(app, mail)
        .await
        .with_context(|| format!("there is no user `{mail}`"))
}

fn or_made(given: Option<String>) -> Result<(String, bool)> {
    match given {
        Some(password) => Ok((password, false)),
        None => Ok((URL_SAFE_NO_PAD.encode(random::<12>()?), true)),
    }
}

fn tell_password(password: &str, is_made: bool) {
    if is_made {
        output::line(format!("password: {password}"));
    }
}
