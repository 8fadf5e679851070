//! Sign-in and sign-out in the browser, the organization one works in, and the colours.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tollbook_core::ids::OrganizationId;

use super::view::{LoginPage, SignInProblem};
use super::{ops, sessions};
use crate::app::App;
use crate::error::{Error, Result};
use crate::http::caller::SignedIn;
use crate::http::cookies::{self, Stay};
use crate::http::csrf::is_equal;
use crate::http::frame::Frame;
use crate::http::input::{Form, Params};
use crate::pages::{Scheme, reply};
use crate::secrets::random;

/// The choice of colours is kept so long.
const SCHEME_DAYS: u32 = 400;

#[derive(Debug, Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

/// `GET /login`
pub(crate) async fn login_page(
    State(app): State<App>,
    frame: Frame,
    headers: HeaderMap,
    Params(Next { next }): Params<Next>,
) -> Result<Response> {
    // A form that is open in another tab keeps its token.
    let token = match cookies::read(&headers, cookies::FORM) {
        Some(token) if !token.is_empty() => token.to_owned(),
        _ => URL_SAFE_NO_PAD.encode(random::<16>()?),
    };
    // Whoever is sent here with a session's cookie had one that is no more.
    let had_session = !next.is_empty() && cookies::read(&headers, cookies::SESSION).is_some();
    let problem = had_session.then_some(SignInProblem::SessionEnded);
    let view = LoginPage::new(&frame, &token, String::new(), &next, problem);
    let mut response = reply::page(StatusCode::OK, &view);
    set_cookie(
        &mut response,
        cookies::set(&app.settings, cookies::FORM, &token, Stay::UntilClosed)?,
    );
    Ok(response)
}

#[derive(Debug, Deserialize)]
pub(crate) struct Login {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

/// `POST /login`
pub(crate) async fn log_in(
    State(app): State<App>,
    frame: Frame,
    headers: HeaderMap,
    Form(login): Form<Login>,
) -> Result<Response> {
    let token = cookies::read(&headers, cookies::FORM).unwrap_or_default();
    let again = |status, problem| {
        let view = LoginPage::new(
            &frame,
            token,
            login.email.clone(),
            &login.next,
            Some(problem),
        );
        Ok(reply::page(status, &view))
    };
    if token.is_empty() {
        return login_page(
            State(app),
            frame,
            headers,
            Params(Next { next: login.next }),
        )
        .await;
    }
    if !is_equal(token.as_bytes(), login.csrf.as_bytes()) {
        return again(StatusCode::FORBIDDEN, SignInProblem::FormExpired);
    }
    let user = match ops::sign_in(&app, &login.email, login.password).await {
        Ok(user) => user,
        Err(Error::Unauthorized(_)) => {
            return again(
                StatusCode::UNPROCESSABLE_ENTITY,
                SignInProblem::WrongCredentials,
            );
        }
        Err(Error::RateLimited { .. }) => {
            return again(
                StatusCode::TOO_MANY_REQUESTS,
                SignInProblem::TooManyAttempts,
            );
        }
        Err(error) => return Err(error),
    };
    let user_agent = headers
        .get(header::USER_AGENT)
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default();
    let session = sessions::start(&app, user, user_agent).await?;
    let mut response = Redirect::to(own_path(&login.next)).into_response();
    let stay = Stay::Days(sessions::DAYS);
    set_cookie(
        &mut response,
        cookies::set(&app.settings, cookies::SESSION, &session, stay)?,
    );
    set_cookie(
        &mut response,
        cookies::set(&app.settings, cookies::FORM, "", Stay::Gone)?,
    );
    Ok(response)
}

/// `POST /logout`
pub(crate) async fn log_out(
    State(app): State<App>,
    SignedIn { user }: SignedIn,
) -> Result<Response> {
    if let Some(session) = &user.session {
        sessions::end(&app, session.id).await?;
    }
    let mut response = Redirect::to("/login").into_response();
    set_cookie(
        &mut response,
        cookies::set(&app.settings, cookies::SESSION, "", Stay::Gone)?,
    );
    Ok(response)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Switch {
    organization_id: OrganizationId,
}

/// `POST /organization`
pub(crate) async fn switch_organization(
    State(app): State<App>,
    SignedIn { user }: SignedIn,
    Form(input): Form<Switch>,
) -> Result<Redirect> {
    let id = input.organization_id;
    let is_known =
        user.actor_in(id).is_some() && super::sql::organization(&app.db, id).await?.is_some();
    if !is_known {
        return Err(Error::NotFound("organization"));
    }
    if let Some(session) = &user.session {
        sessions::work_in(&app, session.id, id).await?;
    }
    // What was open before may be nothing in the other organization.
    Ok(Redirect::to("/"))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Appearance {
    scheme: String,
    #[serde(default)]
    back: String,
}

/// `POST /appearance`
pub(crate) async fn choose_appearance(
    State(app): State<App>,
    _: SignedIn,
    Form(input): Form<Appearance>,
) -> Result<Response> {
    let scheme = Scheme::parse(&input.scheme).name();
    let mut response = Redirect::to(own_path(&input.back)).into_response();
    set_cookie(
        &mut response,
        cookies::set(
            &app.settings,
            cookies::SCHEME,
            scheme,
            Stay::Days(SCHEME_DAYS),
        )?,
    );
    Ok(response)
}

fn set_cookie(response: &mut Response, cookie: HeaderValue) {
    response.headers_mut().append(header::SET_COOKIE, cookie);
}

/// Where to go on this server; anything that leads elsewhere leads home.
pub(super) fn own_path(path: &str) -> &str {
    let rest = path.strip_prefix('/');
    let is_own = rest.is_some_and(|it| !it.starts_with(['/', '\\']))
        && !path.contains(|it: char| it.is_control() || it == '\\');
    if is_own { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn no_form_leads_to_another_server() {
        assert_eq!(own_path("/calls?q=a%2Fb"), "/calls?q=a%2Fb");
        for elsewhere in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\nb",
            "evil",
        ] {
            assert_eq!(own_path(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
