//! Which address has which handlers.
//!
//! Addresses without parameters, nearly all and all that are asked often, are found by a look at
//! a table; the few others by poem's router, which keeps the request a few times over on its way.

use std::collections::HashMap;

use futures_util::future::Either;
use poem::{Endpoint, Request, Response, Route};

use super::methods::Methods;

/// The handlers of all addresses.
#[derive(Default)]
pub(super) struct Routes {
    fixed: HashMap<String, Methods>,
    patterns: Route,
}

impl Routes {
    /// Adds an address, which may have parameters as poem writes them: `/sessions/:sid`.
    pub(super) fn at(mut self, path: impl Into<String>, methods: Methods) -> Self {
        let path = path.into();
        if path.contains([':', '*', '<']) {
            self.patterns = self.patterns.at(path, methods);
        } else {
            let before = self.fixed.insert(path, methods);
            assert!(before.is_none(), "each address is added once");
        }
        self
    }
}

impl Endpoint for Routes {
    type Output = Response;

    fn call(&self, request: Request) -> impl Future<Output = poem::Result<Response>> + Send {
        match self.fixed.get(request.uri().path()) {
            Some(methods) => Either::Left(methods.call(request)),
            None => Either::Right(Box::pin(self.patterns.call(request))),
        }
    }
}
