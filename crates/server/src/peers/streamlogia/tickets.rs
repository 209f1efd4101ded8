//! Tickets: what a browser shows in an address in place of its key. Each opens one stream, soon; a restart forgets them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use crate::{
    auth::Caller,
    error::ApiError,
    limits::{PROJECT_TICKETS_MAX, TICKET_TIME, TICKETS_MAX},
};

/// The tickets that are good.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<HashMap<String, Ticket>>);

#[derive(Debug)]
struct Ticket {
    caller: Caller,
    /// The project that it was asked for.
    project_id: String,
    ends: Instant,
}

impl Tickets {
    /// Makes a ticket for a caller.
    pub(super) fn make(&self, caller: Caller, project_id: String) -> Result<String, ApiError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)
            .map_err(|error| ApiError::internal(format!("make a ticket: {error}")))?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let now = Instant::now();
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_project = |tickets: &HashMap<String, Ticket>| {
            tickets.values().filter(|ticket| ticket.caller.project == caller.project).count()
        };
        let is_full = |tickets: &HashMap<String, Ticket>| {
            tickets.len() >= TICKETS_MAX || of_project(tickets) >= PROJECT_TICKETS_MAX
        };
        if is_full(&tickets) {
            tickets.retain(|_, ticket| ticket.ends > now);
        }
        if is_full(&tickets) {
            let message = format!(
                "{} tickets of {} are good, expected another try",
                of_project(&tickets),
                tickets.len()
            );
            return Err(ApiError::overloaded(message));
        }
        tickets.insert(name.clone(), Ticket { caller, project_id, ends: now + TICKET_TIME });
        Ok(name)
    }

    /// Who made a ticket for this project. It is good no more.
    pub(super) fn take(&self, name: &str, project_id: &str) -> Option<Caller> {
        let ticket = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name)?;
        let is_good = ticket.ends > Instant::now() && ticket.project_id == project_id;
        is_good.then_some(ticket.caller)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::{
        administration::Administration,
        clock,
        keys::{Found, Keys},
    };

    #[tokio::test(start_paused = true)]
    async fn a_ticket_is_good_once_for_its_project_and_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let administration = Administration::new(folder.path());
        let secret = administration.first_key(clock::now()).unwrap().unwrap();
        let keys = Keys::new(administration.keys().clone());
        let Ok(Found::Good(key)) = keys.find(&secret, clock::now()) else { panic!("no key") };
        let caller = || Caller { project: key.entry.project.clone(), key: key.clone() };

        let tickets = Tickets::default();
        let make = || tickets.make(caller(), "p".to_owned()).unwrap();
        let (used, of_another, old) = (make(), make(), make());
        assert!(tickets.take(&used, "p").is_some() && tickets.take(&used, "p").is_none());
        assert!(tickets.take(&of_another, "q").is_none());
        advance(TICKET_TIME).await;
        assert!(tickets.take(&old, "p").is_none());
        for _ in 0..PROJECT_TICKETS_MAX {
            make();
        }
        assert!(tickets.make(caller(), "p".to_owned()).unwrap_err().is_overloaded());
        // One project leaves room for others, up to what there is for all.
        let of_project = |number: usize| {
            let project = format!("p{}", number / PROJECT_TICKETS_MAX).parse().unwrap();
            tickets.make(Caller { project, ..caller() }, "p".to_owned())
        };
        assert!((PROJECT_TICKETS_MAX..TICKETS_MAX).all(|number| of_project(number).is_ok()));
        assert!(of_project(TICKETS_MAX).unwrap_err().is_overloaded());
        advance(TICKET_TIME).await;
        make();
    }
}
