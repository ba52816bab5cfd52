"""GitHub's workflows: what they may do, and their commands, run as GitHub runs them."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
WORKFLOWS = {path.stem: YAML(typ="safe").load(path) for path in FILES}
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"].values()]
STEPS = [(name, step) for name, job in JOBS for step in job["steps"]]
# what GitHub puts in the place of these expressions, for a pull request from a fork; no others are known here
VALUES = {
    "github.base_ref": "main",
    "github.base_ref && format('origin/{0}', github.base_ref) || 'HEAD^1'": "origin/main",
    "secrets.READER_ACCESS_KEY_ID": "",
    "secrets.READER_SECRET_ACCESS_KEY": "",
    "vars.PIP_EXTRA_INDEX_URL": "",
}
OF_A_PUSH = VALUES | {"github.base_ref && format('origin/{0}', github.base_ref) || 'HEAD^1'": "HEAD^1"}
NOT_HERE = {
    "sudo sysctl --write kernel.apparmor_restrict_unprivileged_userns=0": "it changes the machine",
    ".ci/run": "it runs all tests, this one among them",
    "make lint": "it is the first command of .ci/run",
}


class TestWhatWorkflowsMayDo:
    def test_they_have_only_keys_that_github_knows(self):
        workflow = {"name", "on", "permissions", "concurrency", "jobs"}
        job = {"if", "runs-on", "timeout-minutes", "permissions", "concurrency", "steps"}
        step = {"id", "name", "if", "uses", "with", "run", "env", "continue-on-error"}
        assert [key for each in WORKFLOWS.values() for key in each if key not in workflow] == []
        assert [key for _, each in JOBS for key in each if key not in job] == []
        assert [key for _, each in STEPS for key in each if key not in step] == []
        assert [each for _, each in STEPS if ("uses" in each) == ("run" in each)] == []

    def test_they_use_only_githubs_own_actions_pinned_by_commit_and_one_of_each(self):
        pins = {}
        for path in FILES:
            for line in re.findall(r"uses: *(.*)", path.read_text()):
                found = re.fullmatch(r"(actions/[a-z-]+)@([0-9a-f]{40})  # (v\d+\.\d+\.\d+)", line)
                assert found, f"{path.name}: {line}"
                pins.setdefault(found[1], set()).add(found.groups()[1:])
        assert [action for action, each in pins.items() if len(each) > 1] == []

    def test_only_the_comment_may_write_and_only_to_pull_requests(self):
        permissions = {name: workflow["permissions"] for name, workflow in WORKFLOWS.items()}
        assert permissions == {
            "check": {"contents": "read"},
            "comment": {},
            "rebuild": {"contents": "read"},
            "test": {"contents": "read"},
        }
        assert [(name, job["permissions"]) for name, job in JOBS if "permissions" in job] == [
            ("comment", {"actions": "read", "pull-requests": "write"})
        ]

    def test_no_code_of_a_pull_request_runs_where_the_token_may_write_or_secrets_are_there_for_forks(self):
        triggers = {name: {*workflow["on"]} for name, workflow in WORKFLOWS.items()}
        assert triggers.pop("comment") == {"workflow_run"}
        assert set().union(*triggers.values()) == {"pull_request", "push"}
        used = [step["uses"].partition("@")[0] for name, step in STEPS if name == "comment"]
        assert used == ["actions/download-artifact", "actions/github-script"]  # it neither checks out nor runs anything

    def test_no_checkout_leaves_its_token_behind(self):
        checkouts = [step for _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
        assert len(checkouts) == 3
        assert [step["with"] for step in checkouts] == [{"fetch-depth": 0, "persist-credentials": False}] * 3

    def test_nothing_is_pasted_into_a_program(self):
        programs = [step.get("run", "") + step.get("with", {}).get("script", "") for _, step in STEPS]
        assert [program for program in programs if "${{" in program] == []

    def test_every_job_ends(self):
        assert [name for name, job in JOBS if "timeout-minutes" not in job] == []

    def test_every_python_is_that_of_the_lock_files(self):
        pythons = [step["with"] for _, step in STEPS if step.get("uses", "").startswith("actions/setup-python@")]
        wanted = {"python-version": "3.11", "cache": "pip", "cache-dependency-path": "requirements*.lock"}
        assert pythons == [wanted] * 3

    def test_the_comment_follows_the_workflow_that_makes_the_report(self):
        assert WORKFLOWS["comment"]["on"]["workflow_run"]["workflows"] == [WORKFLOWS["check"]["name"]]
        uploads = [step["with"] for name, step in STEPS if "upload-artifact" in step.get("uses", "")]
        downloads = [step["with"] for name, step in STEPS if "download-artifact" in step.get("uses", "")]
        assert [each["name"] for each in uploads + downloads] == ["report", "report"]

    def test_what_is_not_run_here_is_still_a_command_of_the_workflows(self):
        assert {step["run"] for _, step in STEPS if step.get("run") in NOT_HERE} == {*NOT_HERE}
        assert os.access(ROOT / ".ci/run", os.X_OK)
        assert "make lint" in (ROOT / ".ci/run").read_text().splitlines()
        assert subprocess.run(["bash", "-n", ROOT / ".ci/run"]).returncode == 0


class Runner:
    """Runs the commands of a workflow in a clone, in order, as GitHub does."""

    def __init__(self, clone, folder):
        self.clone = clone
        self.summary = folder / "summary.md"
        self.temp = folder / "runner"
        self.temp.mkdir()

    def run(self, workflow, *, values=VALUES):
        """Run all commands, even if one fails; return what they print, and those that fail."""
        printed, failed = "", []
        for name, step in STEPS:
            if name != workflow or "run" not in step or step["run"] in NOT_HERE:
                continue
            script = self.temp / "step.sh"
            script.write_text(step["run"])
            done = self.clone.run("bash", "-e", str(script), check=False, env=self._environment(step, values))
            printed += done.stdout + done.stderr
            failed += [step["run"]] if done.returncode else []
        return printed, failed

    def _environment(self, step, values):
        given = {
            name: re.sub(r"\$\{\{ *(.*?) *\}\}", lambda found: values[found[1]], value)
            for name, value in step.get("env", {}).items()
        }
        github = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(self.summary)}
        return {**github, "RUNNER_TEMP": str(self.temp), **given}


def make_runner(clone, remote, folder):
    """Make a clone what GitHub checks out, with its last commit as the branch `main` of the remote `origin`."""
    clone.run("git", "update-ref", "refs/remotes/origin/main", "HEAD")
    remote.point(clone.root)
    return Runner(clone, folder)


@pytest.fixture
def runner(clone, remote, tmp_path):
    return make_runner(clone, remote, tmp_path)


def merge(clone):
    """Commit the work tree on a branch, and check out its merge into `main`, as GitHub does for a pull request."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    clone.run("git", "checkout", "--quiet", "-b", "topic")
    clone.run("git", "add", "--all")
    clone.run("git", *identity, "commit", "--quiet", "-m", "change")
    clone.run("git", "checkout", "--quiet", "--detach", "origin/main")
    clone.run("git", *identity, "merge", "--quiet", "--no-ff", "-m", "merge", "topic")


class TestTheirCommands:
    @pytest.mark.slow
    def test_a_new_dataset_is_reported_and_rebuilt(self, built_tiny, remote, tmp_path):
        runner = make_runner(built_tiny, remote, tmp_path)
        (runner.clone.root / "artifacts/tiny.tar").unlink()  # a checkout has no artifacts
        shutil.rmtree(runner.clone.root / ".dvc/cache")
        merge(runner.clone)
        printed, failed = runner.run("check")
        assert (failed, "the records agree" in printed) == ([], True)
        report = (runner.temp / "report.md").read_text()
        assert "| tiny | 1.0.0 | new | not on its remote | push |" in report
        assert "4 datasets are unchanged." in report
        assert runner.summary.read_text() == report
        printed, failed = runner.run("rebuild")
        assert failed == []
        assert "tiny: ok: a build from its sources gives the same bytes" in printed
        assert "mnist" not in printed

    @pytest.mark.slow
    def test_an_artifact_that_its_sources_do_not_give_fails_the_rebuild(self, built_tiny, remote, tmp_path):
        runner = make_runner(built_tiny, remote, tmp_path)
        builder = runner.clone.root / "datasets/standard/tiny/tiny.py"
        builder.write_text(builder.read_text().replace("number / 3", "number / 4"))
        merge(runner.clone)
        printed, failed = runner.run("rebuild")
        assert len(failed) == 1
        assert "a build from its sources" in printed
        assert "differs from the recorded artifact" in printed
        printed, failed = runner.run("check")
        assert failed == []
        assert (
            "# it was built before these changes: datasets/standard/tiny\n" in (runner.temp / "report.md").read_text()
        )

    def test_a_pull_request_that_changes_no_dataset_rebuilds_none(self, runner):
        (runner.clone.root / "note.md").write_text("A note.\n")
        merge(runner.clone)
        assert runner.run("rebuild") == ("", [])

    def test_records_that_disagree_fail_the_check_and_are_still_reported(self, runner):
        params = runner.clone.root / "params.yaml"
        params.write_text(params.read_text().replace("epsilon: 26", "epsilon: 8"))
        merge(runner.clone)
        printed, failed = runner.run("check")
        assert failed == ["make check"]
        assert "mnist_fgsm: params.yaml has changed since it was built" in printed
        assert "make build DATASET=mnist_fgsm" in runner.summary.read_text()

    def test_a_push_is_compared_with_the_commit_before_it(self, runner):
        (runner.clone.root / "note.md").write_text("A note.\n")
        merge(runner.clone)
        runner.clone.run("git", "update-ref", "refs/remotes/origin/main", "HEAD")
        assert runner.run("check", values=OF_A_PUSH)[1] == []
        assert "4 datasets are unchanged since HEAD^1 (" in runner.summary.read_text()


HARNESS = """
const { script, payload, pulls, comments } = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
const calls = [], notices = []
const write = (name) => async (given) => { calls.push({ name, ...given }) }
const github = {
  rest: {
    pulls: { list: async ({ owner, repo, state, head }) => ({
      data: pulls.filter((each) => state === 'open' && each.label === head && `${owner}/${repo}` === 'team/data'),
    }) },
    issues: { listComments: 'comments', createComment: write('create'), updateComment: write('update') },
  },
  paginate: async (method, { issue_number }) => comments.filter((each) => each.issue === issue_number),
}
const context = { repo: { owner: 'team', repo: 'data' }, payload }
const core = { notice: (text) => notices.push(text) }
const AsyncFunction = (async () => {}).constructor
new AsyncFunction('github', 'context', 'core', 'require', script)(github, context, core, require)
  .then(() => console.log(JSON.stringify({ calls, notices })))
"""
RUN = {
    "head_sha": "a" * 40,
    "head_branch": "topic",
    "html_url": "https://example.org/run",
    "head_repository": {"owner": {"login": "someone"}},
}
PULLS = [
    {"number": 5, "label": "someone:topic", "head": {"sha": "b" * 40}},  # of another repository of the same owner
    {"number": 7, "label": "someone:topic", "head": {"sha": "a" * 40}},
]
MARK = "<!-- report of the datasets -->"
BOT = {"login": "github-actions[bot]"}


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
class TestTheComment:
    @pytest.fixture
    def post(self, tmp_path):
        """A function that runs the script of the comment against a small stand-in for GitHub's API."""

        def post(report, *, comments=(), pulls=PULLS, run=RUN):
            (tmp_path / "report").mkdir(exist_ok=True)
            (tmp_path / "report/report.md").write_text(report)
            script = next(
                step["with"]["script"] for name, step in STEPS if name == "comment" and "script" in step["with"]
            )
            given = {"script": script, "payload": {"workflow_run": run}, "pulls": pulls, "comments": list(comments)}
            done = subprocess.run(
                ["node", "-e", HARNESS],
                input=json.dumps(given),
                env={**os.environ, "RUNNER_TEMP": str(tmp_path)},
                capture_output=True,
                text=True,
                check=True,
            )
            return json.loads(done.stdout)

        return post

    def test_the_first_report_becomes_a_comment_on_the_pull_request_of_the_commit(self, post):
        (call,) = post("## Datasets\n\n`x` ${y} \\n\n")["calls"]
        assert (call["name"], call["issue_number"], call["owner"], call["repo"]) == ("create", 7, "team", "data")
        assert call["body"].startswith(f"{MARK}\nWhat commit aaaaaaaaaaaa does to the datasets ")
        assert call["body"].endswith("\n\n## Datasets\n\n`x` ${y} \\n\n")

    def test_the_next_one_replaces_it(self, post):
        comments = [
            {"issue": 7, "id": 1, "user": {"login": "someone"}, "body": f"{MARK}\nmine"},
            {"issue": 7, "id": 2, "user": None, "body": None},
            {"issue": 5, "id": 3, "user": BOT, "body": f"{MARK}\nof another"},
            {"issue": 7, "id": 4, "user": BOT, "body": f"{MARK}\nof this"},
        ]
        (call,) = post("## Datasets\n", comments=comments)["calls"]
        assert (call["name"], call["comment_id"]) == ("update", 4)

    def test_a_report_of_a_commit_that_is_no_longer_the_last_one_is_not_posted(self, post):
        for run in (RUN | {"head_sha": "c" * 40}, RUN | {"head_repository": None}):
            result = post("## Datasets\n", run=run)
            assert (result["calls"], len(result["notices"])) == ([], 1)

    def test_a_long_report_is_cut_between_two_datasets(self, post):
        sections = [f"\n### dataset {number}\n\n```sh\n{'#' * 900}\n```\n" for number in range(100)]
        (call,) = post("## Datasets\n" + "".join(sections))["calls"]
        assert 55_000 < len(call["body"]) < 65_536
        assert call["body"].count("```") % 2 == 0
        assert "the end is cut off here, the summary of the run has all of it" in call["body"]
        (call,) = post("x" * 100_000)["calls"]
        assert 55_000 < len(call["body"]) < 65_536
