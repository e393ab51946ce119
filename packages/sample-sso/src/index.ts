export {
  type RunningSampleSite,
  type SampleSiteOptions,
  startSampleSite,
} from './start-sample-site.ts';
