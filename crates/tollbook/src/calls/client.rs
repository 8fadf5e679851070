//! The name under which a user's browser or app answers at a provider that has no users of its own.

use tollbook_core::ids::UserId;
use uuid::Uuid;

/// Tells our users from whatever else a provider's account may have.
const PREFIX: &str = "u_";

/// The name of a user: letters, digits and `_`, as the provider wants it.
pub(crate) fn client_name(user: UserId) -> String {
    format!("{PREFIX}{}", user.uuid().simple())
}

/// The user of a name.
pub(crate) fn user_of(name: &str) -> Option<UserId> {
    let id = Uuid::try_parse(name.strip_prefix(PREFIX)?).ok()?;
    Some(UserId::new(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_user() {
        let user = UserId::new(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
        assert_eq!(client_name(user), "u_01900000000070008000000000000001");
        assert_eq!(user_of(&client_name(user)), Some(user));
        assert_eq!(user_of("ada"), None);
        assert_eq!(user_of("u_ada"), None);
    }
}
