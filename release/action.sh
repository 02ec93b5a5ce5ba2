#!/usr/bin/env bash
# What the GitHub Action runs: one check of all images, which annotates the run, writes the job's summary and the
# outputs, and fails the step where an image is refused or could not be judged. Every input comes as INPUT_….
set -uo pipefail

folder=$(mktemp -d "${RUNNER_TEMP:-/tmp}/safe-image.XXXXXX")

# The command of the release that this file belongs to, and the bytes that the release says. The version is this tree's,
# since a workflow may name the action by a commit or by a branch, too; the repository is the one that the tree was
# fetched from, since in a composite action github.action_repository is not promised:
# https://github.com/actions/runner/issues/2473
fetch() {
  local root version repository
  root=$(dirname "${BASH_SOURCE[0]}")/..
  version=v$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/lambda/image_verifier/__init__.py")
  if [[ ! $ACTION_PATH =~ /_actions/([^/]+/[^/]+)/ ]]; then
    echo '::error title=safe-image::this action is used from a folder, which has no release:' \
      'write the path of a safe-image.pyz as command:, or name the action as OWNER/NAME@REF'
    exit 2
  fi
  repository=${BASH_REMATCH[1]}
  command=$folder/safe-image.pyz
  gh release download "$version" --repo "$repository" --dir "$folder" --pattern 'safe-image.pyz*' &&
    (cd "$folder" && sha256sum --check --quiet safe-image.pyz.sha256) && return
  echo "::error title=safe-image::the safe-image.pyz of release $version of $repository cannot be had, or is not the one" \
    "that was released: name a released version of the action, or write the path of a safe-image.pyz as command:"
  exit 2
}

options=()
# One option for each line of an input that has any.
each() {
  local line
  while IFS= read -r line; do
    line="${line#"${line%%[![:space:]]*}"}"
    line="${line%"${line##*[![:space:]]}"}"
    [[ -z $line ]] || options+=("$1=$line")
  done <<<"$2"
}

each --runs-on "$INPUT_RUNS_ON"
each --platform "$INPUT_PLATFORM"
each --min-size "$INPUT_MIN_SIZE"
each --max-size "$INPUT_MAX_SIZE"
each --against "$INPUT_AGAINST"
each --max-growth "$INPUT_MAX_GROWTH"
each --fail-on "$INPUT_FAIL_ON"
each --require "$INPUT_REQUIRE"
each --acknowledge "$INPUT_ACKNOWLEDGE"
case $INPUT_LAYERS in
  true) options+=(--layers) ;;
  false | '') ;;
  *) echo "::error title=safe-image::layers is '${INPUT_LAYERS//[^a-zA-Z0-9]/?}': write true or false"; exit 2 ;;
esac

# Names of images have no spaces, so that they may stand on one line too.
read -r -d '' -a images <<<"$INPUT_IMAGE" || true
if ((${#images[@]} == 0)); then
  echo '::error title=safe-image::image is empty: write the image that was pushed, such as the digest of build-push-action'
  exit 2
fi

command=$INPUT_COMMAND
[[ -n $command ]] || fetch

python3 "$command" check "${options[@]}" \
  --format github --format "markdown=$folder/summary.md" --format "json=$folder/report.json" -- "${images[@]}" \
  2> >(tee "$folder/errors" >&2)
code=$?
wait

case $code in
  0) verdict=pass ;;
  1) verdict=fail ;;
  *) verdict=unknown ;;
esac
{
  echo "verdict=$verdict"
  if [[ -s $folder/report.json ]]; then
    echo "report=$folder/report.json"
    python3 -c 'import json, sys; print("digest=" + (json.load(open(sys.argv[1]))["images"][0]["digest"] or ""))' \
      "$folder/report.json"
  fi
} >>"$GITHUB_OUTPUT"
if [[ -s $folder/summary.md ]]; then
  { echo '### Container images' && echo && cat "$folder/summary.md"; } >>"$GITHUB_STEP_SUMMARY"
else
  # Nothing was checked: what was wrong is one line, which belongs where people look.
  while IFS= read -r line; do
    line=${line//%/%25}
    echo "::error title=safe-image::$line"
  done <"$folder/errors"
fi
exit "$code"
