//! What an address answers to each method, and `Allow` for the others (RFC 9110 section 15.5.6).
//!
//! In place of poem's own, which does not tell the methods of an address, and puts every handler,
//! and with it every request's future, into one more box.

use futures_util::FutureExt as _;
use poem::{
    Endpoint, EndpointExt as _, IntoEndpoint, Request, Response,
    endpoint::{BoxEndpoint, DynEndpoint},
    http::Method,
};

use super::HttpError;

/// The handlers of one address by method.
#[derive(Default)]
pub(super) struct Methods(Vec<(Method, BoxEndpoint<'static>)>);

/// An address that answers GET, and HEAD as GET without the body.
pub(super) fn get<E: IntoEndpoint<Endpoint: 'static>>(handler: E) -> Methods {
    Methods::default().get(handler)
}

/// An address that answers POST.
pub(super) fn post<E: IntoEndpoint<Endpoint: 'static>>(handler: E) -> Methods {
    Methods::default().post(handler)
}

impl Methods {
    pub(super) fn get<E: IntoEndpoint<Endpoint: 'static>>(self, handler: E) -> Self {
        self.on(Method::GET, handler.map_to_response().boxed())
    }

    pub(super) fn head<E: IntoEndpoint<Endpoint: 'static>>(self, handler: E) -> Self {
        self.on(Method::HEAD, handler.map_to_response().boxed())
    }

    pub(super) fn post<E: IntoEndpoint<Endpoint: 'static>>(self, handler: E) -> Self {
        self.on(Method::POST, handler.map_to_response().boxed())
    }

    pub(super) fn on(mut self, method: Method, handler: BoxEndpoint<'static>) -> Self {
        self.0.push((method, handler));
        self
    }

    fn find(&self, method: &Method) -> Option<&BoxEndpoint<'static>> {
        self.0.iter().find_map(|(known, handler)| (known == method).then_some(handler))
    }

    fn not_allowed(&self) -> HttpError {
        let mut names: Vec<_> = self.0.iter().map(|(method, _)| method.as_str()).collect();
        if self.find(&Method::GET).is_some() && self.find(&Method::HEAD).is_none() {
            names.push(Method::HEAD.as_str());
        }
        names.sort_unstable();
        HttpError::method_not_allowed(&names)
    }
}

impl Endpoint for Methods {
    type Output = Response;

    // Not an async fn: that would keep the request twice, and copy it each time.
    fn call(&self, mut request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        if let Some(handler) = self.find(request.method()) {
            return DynEndpoint::call(&**handler, request);
        }
        let get = self.find(&Method::GET).filter(|_| request.method() == Method::HEAD);
        async move {
            let get = get.ok_or_else(|| self.not_allowed())?;
            request.set_method(Method::GET);
            let mut response = DynEndpoint::call(&**get, request).await?;
            response.set_body(());
            Ok(response)
        }
        .boxed()
    }
}
