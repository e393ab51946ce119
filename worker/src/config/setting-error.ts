/** A setting that is missing or wrong. `setting` is the name of the binding, the message says what is wrong with it. */
export class SettingError extends Error {
  readonly setting: string;
  constructor(setting: string, detail: string) {
    super(detail);
    this.setting = setting;
  }
}
