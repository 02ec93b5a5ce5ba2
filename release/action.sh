#!/usr/bin/env bash
# The step of the GitHub Action: one check of all images. It annotates the run, writes the job's summary and the outputs,
# and fails where an image is refused or its verdict is unknown. Every input arrives as INPUT_….
#
# The current folder is the workspace, which may hold the code of a stranger's pull request: Python runs with -I, so that
# it imports nothing from there.
set -uo pipefail

folder=$(mktemp -d "${RUNNER_TEMP:-/tmp}/safe-image.XXXXXX")

# Download the command of the release that this file belongs to, and verify its checksum. The version is that of this
# tree, since a workflow may also reference the action by a commit or a branch. The repository is read from the tree's
# path, since github.action_repository is unreliable in a composite action:
# https://github.com/actions/runner/issues/2473
fetch() {
  local root version repository
  root=$(dirname "${BASH_SOURCE[0]}")/..
  version=v$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/lambda/image_verifier/__init__.py")
  if [[ ! $ACTION_PATH =~ /_actions/([^/]+/[^/]+)/ ]]; then
    echo '::error title=safe-image::this action is used from a folder, which has no release:' \
      'set command: to the path of a safe-image.pyz, or use the action as OWNER/NAME@REF'
    exit 2
  fi
  repository=${BASH_REMATCH[1]}
  command=$folder/safe-image.pyz
  gh release download "$version" --repo "$repository" --dir "$folder" --pattern 'safe-image.pyz*' &&
    (cd "$folder" && sha256sum --check --quiet safe-image.pyz.sha256) && return
  echo "::error title=safe-image::the safe-image.pyz of release $version of $repository cannot be downloaded, or its" \
    "checksum differs: use a released version of the action, or set command: to the path of a safe-image.pyz"
  exit 2
}

options=()
# Add one option for each line of an input that is not empty.
add_options() {
  local line
  while IFS= read -r line; do
    line="${line#"${line%%[![:space:]]*}"}"
    line="${line%"${line##*[![:space:]]}"}"
    [[ -z $line ]] || options+=("$1=$line")
  done <<<"$2"
}

add_options --runs-on "$INPUT_RUNS_ON"
add_options --platform "$INPUT_PLATFORM"
add_options --min-size "$INPUT_MIN_SIZE"
add_options --max-size "$INPUT_MAX_SIZE"
add_options --against "$INPUT_AGAINST"
add_options --max-growth "$INPUT_MAX_GROWTH"
add_options --fail-on "$INPUT_FAIL_ON"
add_options --require "$INPUT_REQUIRE"
add_options --acknowledge "$INPUT_ACKNOWLEDGE"
add_options --set "$INPUT_SET"
add_options --skip "$INPUT_SKIP"
add_options --unknown "$INPUT_UNKNOWN"
case $INPUT_CONFIG in
  none) options+=(--isolated) ;;
  *) add_options --config "$INPUT_CONFIG" ;;
esac
case $INPUT_LAYERS in
  true) options+=(--layers) ;;
  false | '') ;;
  *) echo "::error title=safe-image::layers is '${INPUT_LAYERS//[^a-zA-Z0-9]/?}': set it to true or false"; exit 2 ;;
esac

# Image references have no spaces, so several may also share a line.
read -r -d '' -a images <<<"$INPUT_IMAGE" || true
if ((${#images[@]} == 0)); then
  echo '::error title=safe-image::image is empty: set it to the image that was pushed, such as NAME@DIGEST of build-push-action'
  exit 2
fi

command=$INPUT_COMMAND
[[ -n $command ]] || fetch

# A pipe to tee, since bash does not wait reliably for a process substitution, and the errors are read below.
{
  python3 -I "$command" check "${options[@]}" \
    --format github --format "markdown=$folder/summary.md" --format "json=$folder/report.json" -- "${images[@]}" \
    2>&1 >&3 3>&- | tee "$folder/errors" >&2
  code=${PIPESTATUS[0]}
} 3>&1

case $code in
  0) verdict=pass ;;
  1) verdict=fail ;;
  *) verdict=unknown ;;
esac
{
  echo "verdict=$verdict"
  if [[ -s $folder/report.json ]]; then
    echo "report=$folder/report.json"
    # A digest of another form could add outputs of its own.
    python3 -I -c 'if True:
      import json, re, sys
      images = json.load(open(sys.argv[1]))["images"]
      digest = images and images[0]["digest"] or ""
      print("digest=" + digest if re.fullmatch("[a-z0-9]+:[0-9a-f]+", digest) else "digest=")' "$folder/report.json"
  fi
} >>"$GITHUB_OUTPUT"
if [[ -s $folder/summary.md ]]; then
  { echo '### Container images' && echo && cat "$folder/summary.md"; } >>"$GITHUB_STEP_SUMMARY"
else
  # Nothing was checked. The error is one line, which becomes an annotation.
  while IFS= read -r line; do
    line=${line//%/%25}
    echo "::error title=safe-image::$line"
  done <"$folder/errors"
fi
exit "$code"
