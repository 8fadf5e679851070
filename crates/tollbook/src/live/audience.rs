//! Viewers who see the same thing in the same form: what is sent to them is read and rendered once.

use jiff::Timestamp;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{ApiKeyId, OrganizationId, SessionId, UserId};

/// Whose rights: all admins of an organization see the same; a member sees what is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Sharing {
    pub(crate) organization: OrganizationId,
    /// `None` for those who may do what an admin may.
    pub(crate) member: Option<UserId>,
}

impl Sharing {
    /// The actor with whose rights things are read.
    pub(super) const fn actor(self) -> Actor {
        match self.member {
            None => Actor::organization_system(self.organization),
            Some(user) => Actor::Member {
                organization: self.organization,
                user,
                may_buy_numbers: false,
            },
        }
    }
}

/// What an event looks like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// Documents, for programs.
    Json,
    /// Elements of a page.
    Page {
        /// The language's tag.
        language: &'static str,
        /// The zone's name.
        zone: String,
    },
}

/// Viewers who see the same thing in the same form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Audience {
    pub(crate) sharing: Sharing,
    pub(crate) form: Form,
}

/// By which right a stream was opened. It is checked again while the stream is open.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) organization: OrganizationId,
    /// The right that was found: platform admin, admin or member of the organization.
    pub(crate) standing: Standing,
    /// The page session, if one was used.
    pub(crate) session: Option<SessionId>,
    /// When the stream is closed at the latest.
    pub(crate) expires_at: Option<Timestamp>,
}

/// What a viewer is to the organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    PlatformAdmin(UserId),
    Admin(UserId),
    Member(UserId),
    /// A program of the organization.
    Key(ApiKeyId),
    /// The platform's own service.
    Service,
}
