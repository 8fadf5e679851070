//! Who is calling: sign-in.

#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the pages are filled by handlers that come with the operations"
    )
)]
pub(crate) mod view;
