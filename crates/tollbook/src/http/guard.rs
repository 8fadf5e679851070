//! What stands before a route's handler: who calls, how much they may ask, whether one of our pages made the request,
//! and whether it was answered before.
//!
//! One layer for all of it, since a layer copies what is below it for every request.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::caller::Access;
use super::limits::{Limits, Standing};
use super::{csrf, idempotency};
use crate::app::App;
use crate::identity;

/// What a guard needs to know; cheap to clone.
#[derive(Clone)]
pub(super) struct Guard(Arc<Post>);

/// Where a guard stands.
struct Post {
    app: App,
    limits: Arc<Limits>,
    access: Access,
}

impl Guard {
    pub(super) fn new(app: App, limits: Arc<Limits>, access: Access) -> Self {
        Self(Arc::new(Post {
            app,
            limits,
            access,
        }))
    }
}

/// The middleware. Refusing those who may not is for the route's own extractor.
pub(super) async fn guard(
    State(Guard(post)): State<Guard>,
    path: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let is_open = post.access == Access::Public;
    if !is_open
        && let Err(error) = identity::identify(&post.app, post.access, &path, &mut request).await
    {
        return error.into_response();
    }
    let standing = post.limits.standing(&request);
    let mut response = if let Some(refusal) = standing.as_ref().and_then(Standing::refusal) {
        refusal.into_response()
    } else if is_open {
        next.run(request).await
    } else {
        match csrf::check(request).await {
            ControlFlow::Continue(request) => idempotency::replay(&post.app, request, next).await,
            ControlFlow::Break(refusal) => refusal,
        }
    };
    if let Some(standing) = standing {
        standing.tell(response.headers_mut());
    }
    response
}
