//! What every store must do: the contract of [`Store`] in executable form, run on each backend.
//!
//! To run it on another one, add a constructor to `World` and its name to `contract!`. What cannot
//! be shown this way (that what was answered survives a crash) is each backend's own to show:
//! `store_durability` does it for the embedded store.

mod accounts;
mod attempts;
mod audit;
pub(crate) mod backup;
mod ends;
mod sessions;
mod upkeep;
mod variables;
mod visits;

/// Runs every test of the contract on every backend.
macro_rules! contract {
    ($($backend:ident if $there:expr,)*; $tests:tt) => {
        $(contract!(@on $backend $there, $tests);)*
    };
    (@on $backend:ident $there:expr, { $($file:ident { $($test:ident)* })* }) => {
        mod $backend {
            use crate::store_world::World;
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    if !$there {
                        return;
                    }
                    let world = World::$backend();
                    let test = super::$file::$test(&world);
                    // sled has been seen to hang: a test that does fails, and says which.
                    let limit = std::time::Duration::from_secs(60);
                    tokio::time::timeout(limit, test).await.expect("no operation hangs");
                }
            )*)*
        }
    };
}

contract! {
    memory if true,
    sled if true,
    redis if crate::support::redis::redis_works(),
    redis_local if crate::support::redis::redis_works(),
    shards if crate::support::redis::redis_works(),
    cluster if crate::support::redis::redis_works(),; {
    accounts {
        an_account_is_found_by_both_its_names
        an_email_belongs_to_one_account
        of_fifty_accounts_with_one_email_one_is_made
        an_account_id_that_is_taken_replaces_nobody
        accounts_are_paged_in_the_order_of_their_emails
        accounts_are_found_by_a_part_of_their_email
        a_search_looks_at_so_many_and_says_where_to_go_on
        disabling_ends_sessions_and_enabling_revives_none
        a_role_is_given_to_new_sessions_and_taken_from_all
        what_does_not_exist_is_not_changed
        a_removed_account_leaves_nothing_and_frees_its_email
        an_account_is_closed_by_a_living_session_of_its_own
        a_password_change_ends_all_other_sessions
        a_change_by_a_session_that_ended_changes_nothing
        an_email_changes_with_all_that_goes_with_it
        of_twenty_who_want_one_email_one_has_it
        a_session_goes_on_for_who_shows_the_password
        of_two_password_changes_with_one_password_one_loses
        an_operator_changes_any_password
        a_rehash_ends_nothing_and_loses_against_a_change
    }
    sessions {
        a_session_comes_back_as_it_was_made
        a_login_needs_the_password_that_is_in_force
        a_login_needs_an_active_account
        a_copy_is_reported_once_in_the_next_session
        the_oldest_sessions_end_when_there_are_too_many
        the_limit_holds_under_parallel_logins
        expired_sessions_take_no_place_of_living_ones
        a_session_is_absent_once_over
        a_session_is_found_only_under_its_own_account
        sessions_are_listed_oldest_first_and_only_living
    }
    visits {
        a_visit_counts_and_moves_the_idle_end
        a_visit_never_moves_the_idle_end_back_or_past_the_absolute
        a_visit_takes_a_higher_number_for_true
        parallel_visits_count_once_each
        a_visit_to_what_is_not_alive_writes_nothing_back
        a_visit_by_the_other_transport_is_absent
        a_copied_token_ends_the_session
        a_copied_token_is_refused
        a_copied_token_is_ignored
        a_renewal_moves_the_idle_end_and_counts_nothing
        visits_are_counted_by_the_day_and_kept_for_two_weeks
    }
    ends {
        one_of_many_revokes_is_told_so
        no_end_is_answered_before_its_number
        a_copied_session_is_ended_and_noted
        all_sessions_but_one_end
        every_session_ends_at_once_and_new_ones_live
        visits_of_ended_sessions_stay_in_the_total
    }
    attempts {
        attempts_are_counted_until_the_window_of_the_first_is_over
        attempts_of_one_key_are_forgotten_and_no_others
        parallel_attempts_count_once_each
        keys_have_bounded_room_and_those_with_many_attempts_stay
        attempts_that_are_over_are_swept_and_in_no_backup
    }
    variables {
        a_variable_is_set_found_changed_and_removed
        of_parallel_changes_to_different_variables_all_are_kept
        variables_are_bounded
        what_is_not_alive_has_no_variables_and_gets_none
        variables_end_with_their_session_however_it_ends
        variables_go_along_when_a_session_goes_on
        of_a_change_and_an_end_at_once_nothing_is_left
    }
    audit {
        every_change_of_a_session_has_its_event
        every_change_of_an_account_has_its_event
        what_happens_all_the_time_is_no_event
        events_are_listed_from_the_latest_on_in_pages_that_stay_where_they_are
        events_of_an_account_are_those_about_it_and_those_it_did
        a_flood_of_refusals_pushes_out_no_change
        the_oldest_events_make_room
        events_that_are_over_are_hidden_and_then_removed
        a_clock_that_was_set_back_takes_no_event_away
        one_look_at_events_is_bounded
        events_come_back_from_a_backup_and_go_on
        what_is_no_run_of_events_is_not_imported
        changes_at_once_have_an_event_each
    }
    upkeep {
        a_sweep_removes_exactly_the_dead
        a_sweep_keeps_its_budget_and_reaches_the_end
        a_closed_store_refuses
    }
    backup {
        an_export_comes_back_by_an_import_on_any_store
        an_export_shows_the_moment_at_which_it_began
        an_import_replaces_nothing
    }
} }
