//! Routes that change something. [`change`] is the only way to make one (a test looks), so each
//! says who may use it, which is checked before its form is read, and what the audit list says
//! about it, whatever comes of it.

use std::sync::Arc;

use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::MethodRouter;
use axum::routing::post;

use crate::admin::AuditAction;
use crate::page::Page;
use crate::page::visitor::NotAllowed;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;

/// Who may use a route.
#[derive(Clone, Copy, Debug)]
pub(in crate::page) enum Who {
    /// Whoever knows a secret that the form names: a link, or a password.
    Anybody,
    /// This role, or a guest, for the guest's own mailbox.
    GuestOr(Role),
    /// This role, or a higher one.
    Role(Role),
}

impl Who {
    fn check(self, visitor: &Visitor) -> Result<(), NotAllowed> {
        match self {
            Self::Anybody => Ok(()),
            Self::GuestOr(_) if visitor.guest.is_some() => Ok(()),
            Self::GuestOr(role) | Self::Role(role) => visitor.require(role).map(drop),
        }
    }
}

/// A `POST` route that does this.
pub(in crate::page) fn change<H, T>(
    who: Who,
    action: AuditAction,
    handler: H,
) -> MethodRouter<Arc<Page>>
where
    H: Handler<T, Arc<Page>>,
    T: 'static,
{
    let check = move |visitor: Visitor, request: Request, next: Next| {
        checked(who, action, visitor, request, next)
    };
    post(handler).route_layer(middleware::from_fn(check))
}

async fn checked(
    who: Who,
    action: AuditAction,
    visitor: Visitor,
    request: Request,
    next: Next,
) -> Response {
    visitor.audit(action, "");
    match who.check(&visitor) {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            visitor.audit_refused("the role does not permit it");
            refused.into_response()
        }
    }
}
