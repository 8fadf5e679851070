//! HTTP: assets and the frame around every page.

#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the router that serves them comes with the operations"
    )
)]
pub(crate) mod assets;
pub(crate) mod sse;
pub(crate) mod view;
