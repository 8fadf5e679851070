//! Who works in an organization, and as what.

use serde::{Deserialize, Serialize};
use tollbook_core::actor::Actor;
use tollbook_core::ids::{OrganizationId, UserId};

use crate::app::App;
use crate::audit::{self, Deed};
use crate::db::Tx;
use crate::error::{Error, OnConstraint as _, Result};

/// What somebody is in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MemberRole {
    /// Runs it.
    OrgAdmin,
    /// Works in it.
    OrgMember,
}

impl MemberRole {
    const fn as_str(self) -> &'static str {
        match self {
            Self::OrgAdmin => "org_admin",
            Self::OrgMember => "org_member",
        }
    }
}

/// Somebody to be added.
#[derive(Debug)]
pub(crate) struct NewMember {
    pub(crate) user: UserId,
    pub(crate) role: MemberRole,
    pub(crate) may_buy_numbers: bool,
}

/// A member as they are shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MemberView {
    pub(crate) user_id: UserId,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) may_buy_numbers: bool,
}

/// What changes of a membership; what is `None` stays.
#[derive(Debug, Default)]
pub(crate) struct MemberChange {
    pub(crate) role: Option<MemberRole>,
    pub(crate) may_buy_numbers: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Rights {
    role: String,
    may_buy_numbers: bool,
}

/// Makes a user a member. The user must exist.
pub(crate) async fn add(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    new: &NewMember,
) -> Result<MemberView> {
    let mut tx = app.db.begin(actor).await?;
    sqlx::query!(
        "insert into memberships (organization_id, user_id, role, may_buy_numbers) values ($1, $2, $3, $4)",
        organization.uuid(),
        new.user.uuid(),
        new.role.as_str(),
        new.may_buy_numbers,
    )
    .execute(&mut *tx)
    .await
    .on_constraint("memberships_pkey", || {
        Error::conflict("member_exists", "this user is a member already")
    })?;
    let rights = Rights {
        role: new.role.as_str().to_owned(),
        may_buy_numbers: new.may_buy_numbers,
    };
    let deed = Deed::new(organization, "member.added", "user", new.user).after(&rights)?;
    audit::record(&mut tx, actor, deed).await?;
    let view = view(&mut tx, organization, new.user).await?;
    tx.commit().await?;
    Ok(view)
}

/// Gives a user a role, as a new member where they are none.
pub(crate) async fn set_role(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    user: UserId,
    role: MemberRole,
) -> Result<()> {
    let rights = MemberChange {
        role: Some(role),
        may_buy_numbers: None,
    };
    match change(app, actor, organization, user, &rights).await {
        Err(Error::NotFound(_)) => {
            let new = NewMember {
                user,
                role,
                may_buy_numbers: false,
            };
            add(app, actor, organization, &new).await.map(drop)
        }
        other => other.map(drop),
    }
}

/// Changes a member's rights. The last admin stays one.
pub(crate) async fn change(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    user: UserId,
    change: &MemberChange,
) -> Result<MemberView> {
    let mut tx = app.db.begin(actor).await?;
    // All admins are locked, so that two of them cannot step down at once.
    let held = sqlx::query!(
        "select user_id, role, may_buy_numbers from memberships where organization_id = $1 and (role = 'org_admin' or user_id = $2)
         order by user_id for no key update",
        organization.uuid(),
        user.uuid(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let is_last_admin = held
        .iter()
        .all(|it| it.user_id == user.uuid() || it.role != MemberRole::OrgAdmin.as_str());
    let before = held.into_iter().find(|it| it.user_id == user.uuid());
    let before = before.map(|it| Rights {
        role: it.role,
        may_buy_numbers: it.may_buy_numbers,
    });
    let before = before.ok_or(Error::NotFound("member"))?;
    let is_last_admin = is_last_admin && before.role == MemberRole::OrgAdmin.as_str();
    if is_last_admin && change.role == Some(MemberRole::OrgMember) {
        return Err(Error::conflict(
            "last_admin",
            "an organization needs an admin; make somebody else one first",
        ));
    }
    let after = Rights {
        role: change
            .role
            .map_or_else(|| before.role.clone(), |it| it.as_str().to_owned()),
        may_buy_numbers: change.may_buy_numbers.unwrap_or(before.may_buy_numbers),
    };
    sqlx::query!(
        "update memberships set role = $3, may_buy_numbers = $4 where organization_id = $1 and user_id = $2",
        organization.uuid(),
        user.uuid(),
        after.role,
        after.may_buy_numbers,
    )
    .execute(&mut *tx)
    .await?;
    let deed = Deed::new(organization, "member.changed", "user", user);
    audit::record(&mut tx, actor, deed.before(&before)?.after(&after)?).await?;
    let view = view(&mut tx, organization, user).await?;
    tx.commit().await?;
    Ok(view)
}

/// Says which of the provider's users a member is, so that who answered a call is known.
pub(crate) async fn link_provider_user(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    user: UserId,
    sid: &str,
) -> Result<()> {
    let mut tx = app.db.begin(actor).await?;
    let linked = sqlx::query!(
        "update memberships set provider_user_sid = $3 where organization_id = $1 and user_id = $2",
        organization.uuid(),
        user.uuid(),
        sid,
    )
    .execute(&mut *tx)
    .await
    .on_constraint("memberships_provider_user_sid_key", || {
        Error::conflict(
            "provider_user_linked",
            "another member is this user of the provider",
        )
    })?;
    if linked.rows_affected() == 0 {
        return Err(Error::NotFound("member"));
    }
    let deed = Deed::new(organization, "member.linked", "user", user)
        .after(&serde_json::json!({ "provider_user_sid": sid }))?;
    audit::record(&mut tx, actor, deed).await?;
    tx.commit().await?;
    Ok(())
}

async fn view(tx: &mut Tx, organization: OrganizationId, user: UserId) -> Result<MemberView> {
    let view = sqlx::query_as!(
        MemberView,
        "select m.user_id, u.email, u.name, m.role, m.may_buy_numbers
         from memberships m join users u on u.id = m.user_id where m.organization_id = $1 and m.user_id = $2",
        organization.uuid(),
        user.uuid(),
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(view)
}

/// The members by user id: `rows` of them after `after`.
pub(crate) async fn list(
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    after: Option<UserId>,
    rows: i64,
) -> Result<Vec<MemberView>> {
    let mut tx = app.db.begin(actor).await?;
    let rows = sqlx::query_as!(
        MemberView,
        "select m.user_id, u.email, u.name, m.role, m.may_buy_numbers
         from memberships m join users u on u.id = m.user_id
         where m.organization_id = $1 and ($2::uuid is null or m.user_id > $2) order by m.user_id limit $3",
        organization.uuid(),
        after.map(UserId::uuid),
        rows,
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows)
}
