//! The conformance suite: stories about servers, their clients and neighbours. Each is written once
//! and runs on real sockets and in the simulator, so that the simulator stays true to reality.
//!
//! A story waits for events and not for time. Only a story about a deadline of the server takes
//! real time.

mod clients;
mod guarded;
mod herd;
mod lifecycle;
mod links;
mod log;
mod places;
mod secrets;
mod strangers;
mod tls_stories;
mod wire;
mod world;

/// Makes four tests of each story: on real sockets without authentication, with a secret, and with
/// TLS, and in the simulator.
macro_rules! stories {
    ($($module:ident: $($story:ident)*;)*) => {
        mod tokio {
            $($(
                #[test]
                fn $story() {
                    crate::conformance::world::on_real_sockets(crate::conformance::$module::$story);
                }
            )*)*
        }

        #[cfg(feature = "sim")]
        mod turmoil {
            $($(
                #[test]
                fn $story() {
                    crate::conformance::world::in_the_simulator(crate::conformance::$module::$story);
                }
            )*)*
        }

        mod secret {
            $($(
                #[test]
                fn $story() {
                    crate::conformance::guarded::told_under(crate::conformance::guarded::Kind::Secret, crate::conformance::$module::$story);
                }
            )*)*
        }

        mod tls {
            $($(
                #[test]
                fn $story() {
                    crate::conformance::guarded::told_under(crate::conformance::guarded::Kind::Tls, crate::conformance::$module::$story);
                }
            )*)*
        }
    };
}

stories! {
    clients:
        a_line_may_come_in_many_segments
        many_lines_in_one_segment_are_answered_in_order
        a_last_line_without_its_end_is_answered_and_the_connection_closes
        an_empty_connection_hurts_nobody
        a_carriage_return_is_white_space
        a_refused_line_comes_back_byte_for_byte
        a_line_of_exactly_the_limit_is_a_line
        a_line_past_the_limit_is_answered_even_though_more_follows
        a_question_among_updates_keeps_its_place
        a_line_behind_a_question_is_decided_when_it_comes_and_answered_in_its_turn
        questions_are_asked_side_by_side_up_to_the_limit
        whoever_floods_behind_a_question_is_not_heard_further
        whoever_says_more_than_its_rate_waits_and_others_do_not
        connections_of_an_address_share_its_rate
        half_a_line_is_cut_off_and_others_are_served_meanwhile
        half_a_line_that_grows_byte_by_byte_is_cut_off_too
        a_client_that_says_nothing_is_cut_off
        a_slow_reader_is_cut_off_and_others_are_served_meanwhile
        a_client_past_the_most_waits_for_a_place;
    links:
        an_update_is_known_at_every_server
        a_neighbour_that_is_not_up_is_dialled_until_it_is
        a_killed_server_is_told_what_it_missed_and_tells_what_it_learns
        a_silent_neighbour_is_closed_and_dialled_again
        an_idle_link_stays_up
        a_neighbour_that_does_not_greet_is_closed_and_dialled_again
        a_newer_connection_of_a_neighbour_takes_the_link
        a_superseded_connection_can_not_fill_the_memory
        a_line_that_has_no_place_closes_the_link_and_nothing_else
        an_update_too_long_to_be_passed_on_is_refused
        a_neighbour_that_stopped_reading_delays_nobody;
    strangers:
        a_stranger_is_told_why_it_may_not_have_a_link
        a_stranger_that_says_much_is_told_all_the_same
        a_stranger_that_says_nothing_is_closed
        a_neighbour_that_was_to_be_dialled_may_not_dial
        a_server_that_answers_in_the_place_of_another_is_refused
        a_server_of_another_version_is_refused_in_clear_words_and_the_others_go_on
        two_servers_of_one_name_do_not_take_the_link_from_each_other
        a_server_that_has_just_started_is_dialled_at_once
        who_refuses_somebody_asks_the_neighbour_whether_it_was_that_one
        a_neighbour_that_speaks_only_the_version_before_is_greeted_so
        a_servers_line_from_a_client_changes_nothing;
    lifecycle:
        a_stopped_server_ends_every_connection_and_can_be_started_again
        a_stopping_server_answers_what_it_took_and_tells_its_neighbours
        a_stopping_server_answers_the_questions_that_are_under_way
        a_stopping_server_does_not_wait_for_the_dead
        a_server_that_leaves_hears_its_neighbours_out_until_they_confirm
        a_neighbour_that_does_not_confirm_is_named
        a_server_that_leaves_is_answered_once_all_is_stored
        the_same_seed_and_the_same_lines_make_the_same_lines;
}

/// Stories that only real sockets allow.
mod only_tokio {
    #[test]
    fn connections_that_are_gone_before_they_are_accepted_delay_nobody() {
        crate::conformance::world::on_real_sockets(
            crate::conformance::clients::connections_that_are_gone_before_they_are_accepted_delay_nobody,
        );
    }
}

/// Stories about faults that only the simulator can cause.
#[cfg(feature = "sim")]
mod only_turmoil {
    #[test]
    fn an_address_that_never_answers_is_given_up_and_dialled_again() {
        crate::conformance::world::in_the_simulator(
            crate::conformance::links::an_address_that_never_answers_is_given_up_and_dialled_again,
        );
    }

    #[test]
    fn thousands_of_short_lines_let_others_have_a_turn() {
        crate::conformance::world::in_the_simulator(
            crate::conformance::clients::thousands_of_short_lines_let_others_have_a_turn,
        );
    }

    #[test]
    fn a_network_that_holds_its_breath_costs_a_link_but_no_update() {
        crate::conformance::world::in_the_simulator(
            crate::conformance::links::a_network_that_holds_its_breath_costs_a_link_but_no_update,
        );
    }

    #[test]
    fn a_whole_story_told_twice_is_the_same_to_the_byte() {
        crate::conformance::lifecycle::a_whole_story_told_twice_is_the_same_to_the_byte();
    }
}

/// Stories about authentication.
mod only_guarded {
    macro_rules! told_under {
        ($kind:ident, $module:ident: $($story:ident)*) => {
            $(
                #[test]
                fn $story() {
                    crate::conformance::guarded::told_under(crate::conformance::guarded::Kind::$kind, crate::conformance::$module::$story);
                }
            )*
        };
    }

    told_under! { Secret, secrets:
        who_does_not_know_the_secret_is_refused_at_both_ends
        who_proves_nothing_is_told_what_to_do
        who_asks_for_no_proof_is_given_no_link
        a_proof_that_was_seen_proves_nothing_again
        a_proof_given_back_proves_nothing
        nothing_said_before_the_proof_is_heard
        a_new_secret_ends_links_until_both_have_it
    }

    told_under! { Tls, tls_stories:
        a_certificate_for_another_server_is_refused_by_who_is_dialled
        a_certificate_for_another_server_is_refused_by_who_dials
        an_expired_certificate_is_refused
        a_certificate_of_a_foreign_authority_is_refused
        who_shows_no_certificate_is_refused
        who_speaks_without_tls_is_not_heard
        who_speaks_tls_where_nobody_does_gets_no_link
        half_a_handshake_is_cut_off_and_costs_nobody_else_time
        other_authorities_end_the_links_of_those_who_do_not_satisfy_them
        a_herd_can_be_secured_while_it_runs
        clients_may_be_given_tls_and_need_no_certificate
    }
}
