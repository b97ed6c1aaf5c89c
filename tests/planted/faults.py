"""The list. Each text is as short as is clear, so that it outlives changes around it.

A fault that no test catches is a promise that nobody holds: write the test, then name it here.
"""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Fault, Patch

__all__ = ["FAULTS"]

AN_END_WITHOUT_A_FINISH: Final = (
    "tests/e2e/test_upstream_faults.py::test_each_fault_ends_as_documented_keeps_its_text_and_harms_nothing_else"
    "[responses-U8 an end without a finish]"
)

FAULTS: Final = (
    Fault(
        "fan-out before the commit",
        [
            Patch(
                "room/committer.py",
                "        outcomes = await self._commit(plans)\n",
                "        for plan in plans:\n            self._settle(plan)\n"
                "        outcomes = await self._commit(plans)\n",
            ),
            Patch(
                "room/committer.py",
                "isinstance(outcome, Committed):\n                self._settle(plan)\n",
                "isinstance(outcome, Committed):\n                pass\n",
            ),
        ],
        [
            "tests/room/test_committer.py::test_a_command_that_could_not_be_stored_is_refused_and_has_no_effect",
            "tests/room/test_committer.py::test_a_conflict_is_folded_in_and_the_same_intent_is_decided_again",
        ],
    ),
    Fault(
        "a hole at the splice of what was stored and what is live",
        [
            Patch(
                "subscriber/subscriber.py",
                "            if self.cursor >= room.state.seq:\n                self._go_live()",
                "            if self.cursor >= room.state.seq - 1:\n                self._go_live()",
            )
        ],
        [
            "tests/subscriber/test_subscriber.py::test_a_viewer_that_resumes_gets_exactly_what_it_missed",
            "tests/machines/test_pipeline_walk.py::test_whatever_happens_everybody_is_answered_and_nobody_misses_or_repeats_anything",
        ],
    ),
    Fault(
        "a resume that begins one event late",
        [Patch("subscriber/desk.py", "subscriber.start_at(after.seq)", "subscriber.start_at(after.seq + 1)")],
        [
            "tests/subscriber/test_subscriber.py::test_a_viewer_that_resumes_gets_exactly_what_it_missed",
            "tests/e2e/test_stalled.py::test_N2_a_viewer_that_reads_nothing_of_a_burst_is_ended_and_resumes",
        ],
    ),
    Fault(
        "a viewer that stalled forgets where it stands",
        [
            Patch(
                "subscriber/subscriber.py",
                "            self.cursor = self.fanout.room.state.seq\n",
                "",
            )
        ],
        [
            "tests/subscriber/test_subscriber.py::test_a_stalled_viewer_keeps_only_its_cursor_and_nobody_waits_for_it",
            "tests/subscriber/test_subscriber.py::test_whatever_a_viewer_does_its_coverage_is_consecutive_and_its_text_whole",
        ],
    ),
    Fault(
        "no terminal after a cancel",
        [
            Patch(
                "generation/scheduler.py",
                "return self._runner.ended(generation, HungUp(max(0, round(after_s * 1000))))",
                "return None",
            )
        ],
        [
            "tests/generation/test_scheduler.py::test_cancel_hangs_up_and_then_everybody_hears_one_ending_with_its_receipt",
            "tests/generation/test_scheduler.py::test_a_cancel_at_any_token_ends_once_with_exactly_the_text_before_it",
        ],
    ),
    Fault(
        "a terminal that a laggard never hears of",
        [Patch("core/snapshot.py", "response.ended_seq > ended_after", "response.ended_seq < 0")],
        [
            "tests/core/test_snapshot.py::test_no_ending_is_lost_with_the_events_that_a_snapshot_replaces",
            "tests/subscriber/test_lag.py::test_a_reset_for_lag_lists_every_response_that_ended_meanwhile",
        ],
    ),
    Fault(
        "a delta merged across items",
        [Patch("core/coalesce.py", 'frozenset({"delta",', 'frozenset({"item_id", "output_index", "delta",')],
        [
            "tests/core/test_coalesce.py::test_nothing_merges_across_something_else",
        ],
    ),
    Fault(
        "merged deltas that do not say what they cover",
        [Patch("core/coalesce.py", '"seq_from": _first_seq(run[0])', '"seq_from": run[-1]["seq"]')],
        [
            "tests/core/test_coalesce.py::test_a_merged_record_covers_what_it_stands_for",
            "tests/machines/test_pipeline_walk.py::test_whatever_happens_everybody_is_answered_and_nobody_misses_or_repeats_anything",
        ],
    ),
    Fault(
        "a number used again after commits were lost",
        [Patch("storage/sqlite/lives.py", "        return MARK_AHEAD\n", "        return None\n")],
        [
            "tests/storage/sqlite/test_lives.py::test_a_write_ahead_log_that_lost_its_end_renames_every_log",
            "tests/storage/sqlite/test_lives.py::test_an_older_file_that_is_put_back_renames_every_log_each_time",
        ],
    ),
    Fault(
        "output behind a cancel",
        [
            Patch(
                "core/response_state.py",
                "        Input.CANCEL: Status.CANCELLING,\n        Input.COMPLETE: Status.CANCELLED,",
                "        Input.OUTPUT: Status.CANCELLING,\n"
                "        Input.CANCEL: Status.CANCELLING,\n        Input.COMPLETE: Status.CANCELLED,",
            )
        ],
        [
            "tests/core/test_outcomes.py::test_r2_no_output_follows_a_cancel",
            "tests/machines/test_pipeline_walk.py::test_whatever_happens_everybody_is_answered_and_nobody_misses_or_repeats_anything",
        ],
    ),
    Fault(
        "a cancel that leaves the upstream open",
        [Patch("generation/scheduler.py", "            generation.scope.cancel()\n", "            pass\n")],
        [
            "tests/generation/test_runner.py::test_a_cancel_between_two_tries_is_honoured",
            "tests/generation/test_scheduler.py::test_only_so_many_generations_run_at_once",
        ],
    ),
    Fault(
        "completed because the stream ended",
        [Patch("generation/runner.py", 'return CutShort("upstream_eof")', 'return Finish("completed")')],
        [
            "tests/generation/test_runner.py::test_each_way_a_stream_can_end_has_its_terminal",
            AN_END_WITHOUT_A_FINISH,
        ],
    ),
    Fault(
        "another try after output",
        [
            Patch(
                "generation/runner.py",
                "            if generation.first_output_at_s is None:\n                wait_s",
                "            if True:\n                wait_s",
            ),
            Patch("upstream/pieces.py", "failure.retryable and not self._given", "failure.retryable"),
        ],
        [
            "tests/generation/test_runner.py::test_a_failure_after_output_is_not_tried_again",
            "tests/e2e/test_upstream_calls.py::test_after_output_nothing_is_asked_again",
        ],
    ),
    Fault(
        "a receipt that is not stored",
        [Patch("storage/sqlite/appending.py", "    if not receipts:\n", "    if receipts:\n")],
        [
            "tests/conformance/test_rooms.py::test_a_receipt_is_found_by_room_member_and_command",
            "tests/e2e/test_commands.py::test_L6_a_copy_after_kill_9_gets_the_same_reply_and_starts_nothing",
        ],
    ),
    Fault(
        "a copy of a command under way that is carried out as well",
        [Patch("room/room.py", "first = self._under_way.get(key)", "first = self._under_way.pop(key, None) and None")],
        [
            "tests/room/test_committer.py::test_copies_that_arrive_together_share_one_answer",
        ],
    ),
    Fault(
        "compare-and-append without the compare",
        [
            Patch(
                "storage/appends.py",
                "(head.epoch, head.seq) != (batch.epoch, batch.expected_seq)",
                "head.epoch != batch.epoch",
            )
        ],
        [
            "tests/storage/test_appends.py::test_a_batch_on_another_position_conflicts",
            "tests/conformance/test_event_log.py::test_of_two_appends_that_name_the_same_head_one_is_committed",
        ],
    ),
    Fault(
        "intents lost in a conflict",
        [Patch("room/committer.py", "        plan.room.put_back(plan.pendings)\n", "")],
        [
            "tests/room/test_committer.py::test_a_conflict_is_folded_in_and_the_same_intent_is_decided_again",
        ],
    ),
    Fault(
        "prompts and terminals that do not wait for the disk",
        [Patch("room/committer.py", "sync=not kinds.isdisjoint(SYNCED)", "sync=False")],
        [
            "tests/room/test_committer.py::test_prompts_and_terminals_are_synced_and_deltas_are_not",
        ],
    ),
    Fault(
        "a snapshot that says it is one event further",
        [Patch("subscriber/desk.py", 'result | {"seq": position.seq, ', 'result | {"seq": position.seq + 1, ')],
        [
            "tests/subscriber/test_subscriber.py::test_a_new_viewer_gets_a_snapshot_and_then_what_follows",
            "tests/machines/test_pipeline_walk.py::test_whatever_happens_everybody_is_answered_and_nobody_misses_or_repeats_anything",
        ],
    ),
    Fault(
        "a cursor of another epoch taken for one of this",
        [Patch("subscriber/desk.py", "if after.epoch != position.epoch:", "if not after.epoch:")],
        [
            "tests/subscriber/test_desk.py::test_a_viewer_goes_on_from_a_cursor_or_is_told_why_it_cannot",
            "tests/e2e/test_messages.py::test_I8_a_cursor_of_another_room_is_none_of_this_one",
        ],
    ),
    Fault(
        "a slow viewer that is never let go",
        [Patch("subscriber/overflow.py", ">= pump.limits.write_deadline_s:", ">= 1e9:")],
        [
            "tests/subscriber/test_overflow.py::test_no_progress_until_the_deadline_ends_the_connection",
        ],
    ),
    Fault(
        "a floor that is not honoured after a trim",
        [Patch("storage/sqlite/queries.py", "    if after < floor:\n", "    if after < 0:\n")],
        [
            "tests/conformance/test_retention.py::test_of_many_events_the_newest_are_kept",
        ],
    ),
    Fault(
        "a queue that comes back from a checkpoint in another order",
        [
            Patch(
                "core/room_state.py",
                '                "queue": self.queue,\n',
                '                "queue": self.queue[::-1],\n',
            )
        ],
        [
            "tests/core/test_room_state.py::test_what_waits_comes_back_in_the_order_it_waited_in",
        ],
    ),
    Fault(
        "no usage for what was cancelled",
        [
            Patch(
                "core/endings.py",
                "_event(response, following, now_ms, ended.usage, ended)",
                "_event(response, following, now_ms, {} if following is Status.CANCELLED else ended.usage, ended)",
            )
        ],
        [
            "tests/core/test_endings.py::test_the_text_before_it_is_kept_and_summed_up",
        ],
    ),
    Fault(
        "a queue that stops behind what ended",
        [
            Patch(
                "core/outcomes.py",
                "        batch.emit(terminal)\n        start_next(batch)\n",
                "        batch.emit(terminal)\n",
            )
        ],
        [
            "tests/core/test_outcomes.py::test_r3_what_ends_a_response_starts_the_next_in_the_same_batch",
        ],
    ),
    Fault(
        "what a dead process left running goes on for ever",
        [Patch("core/outcomes.py", "    for response_id in list(state.running):\n", "    for response_id in []:\n")],
        [
            "tests/core/test_outcomes.py::test_c1_after_a_crash_what_ran_is_interrupted_and_what_waited_starts",
            "tests/e2e/test_main_job.py::test_kill_9_loses_nothing_that_anybody_saw",
        ],
    ),
    Fault(
        "a digest over another text",
        [Patch("core/output.py", 'text.encode("utf-8", "replace")', 'text.strip().encode("utf-8", "replace")')],
        [
            "tests/core/test_output.py::test_the_digest_is_over_every_byte_of_the_text",
            AN_END_WITHOUT_A_FINISH,
        ],
    ),
    Fault(
        "a Retry-After that is not waited for",
        [Patch("core/attempts.py", "max(wait_s, error.retry_after_ms / 1000)", "wait_s")],
        [
            "tests/core/test_attempts.py::test_what_the_upstream_asks_for_is_waited_for",
            "tests/e2e/test_upstream_retries.py::test_U1_what_the_service_asks_us_to_wait_is_waited_out",
        ],
    ),
    Fault(
        "an answer that may grow without end",
        [
            Patch(
                "core/outcomes.py",
                "if cost > space or len(encode(piece)) > limits.running_bytes:",
                "if len(encode(piece)) > limits.running_bytes:",
            )
        ],
        [
            "tests/core/test_outcomes.py::test_u15_a_room_never_holds_more_than_its_bound",
            "tests/e2e/test_upstream_faults.py::test_U14_text_beyond_what_a_room_may_hold_is_cut_there",
        ],
    ),
    Fault(
        "a head that idle viewers never hear of",
        [Patch("subscriber/fanout.py", "limits.head_interval_s - 1", "limits.head_interval_s * 1e9")],
        ["tests/subscriber/test_fanout.py::test_a_silent_room_says_where_its_log_stands"],
    ),
    Fault(
        "a page from anywhere that may connect",
        [Patch("transport/handshake.py", "        admission.check_origin(request.headers)\n", "")],
        ["tests/e2e/test_handshakes.py::test_A1_a_foreign_origin_is_refused_before_the_upgrade"],
    ),
)
